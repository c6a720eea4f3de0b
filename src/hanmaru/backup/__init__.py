"""Backups of the data folder, taken and restored while the hub runs; never with the keys that open what is in them."""

from hanmaru.backup.archive import BackupError, Manifest
from hanmaru.backup.restore import restore
from hanmaru.backup.swap import finish
from hanmaru.backup.take import take

__all__ = ["BackupError", "Manifest", "finish", "restore", "take"]
