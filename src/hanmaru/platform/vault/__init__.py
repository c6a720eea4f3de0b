"""Personal data, encrypted per case or person, and destroyed by destroying its key."""

from hanmaru.platform.vault.blind import Index
from hanmaru.platform.vault.desk import Desk
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.find import Duplicate
from hanmaru.platform.vault.vault import Vault, Vaults

__all__ = ["Desk", "Duplicate", "Index", "Vault", "VaultError", "Vaults"]
