"""Second factors: authenticator apps, recovery codes, and passkeys with real signatures."""

import json
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from hanmaru.platform.identity.accounts import Account, Accounts
from hanmaru.platform.identity.factors import RECOVERY_CODES, STEP_S, FactorError, Factors, qr_svg, totp_uri
from hanmaru.platform.identity.passkeys import CHALLENGE_S, MOST_PASSKEYS, Party, Passkeys
from tests.platform.authenticator import PRESENT, VERIFIED, Authenticator, decode, encode

HERE = Party("localhost", "http://localhost")


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self) -> None:
        self.now = float(int(time.time()) // STEP_S * STEP_S)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path)
    made.invite("kim", ["reader"])
    made.invite("lee", ["admin"])
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def factors(accounts: Accounts, clock: Clock) -> Factors:
    return Factors(accounts, clock)


@pytest.fixture
def passkeys(accounts: Accounts, factors: Factors, clock: Clock) -> Passkeys:
    return Passkeys(accounts, factors, clock)


@pytest.fixture
def kim(accounts: Accounts) -> Account:
    found = accounts.find("kim")
    assert found
    return found


def code(secret: str, at: float) -> str:
    return pyotp.TOTP(secret).at(int(at))


def enrolled(factors: Factors, clock: Clock) -> tuple[str, list[str]]:
    """Return kim's secret and recovery codes, the first code used up."""
    secret = factors.offer_totp("kim")
    codes = factors.confirm_totp("kim", code(secret, clock.now))
    clock.now += STEP_S
    return secret, codes


def test_an_app_counts_once_it_has_shown_a_code(accounts: Accounts, factors: Factors, clock: Clock) -> None:
    with pytest.raises(FactorError, match="offered"):
        factors.confirm_totp("kim", "123456")
    earlier, secret = factors.offer_totp("kim"), factors.offer_totp("kim")
    for wrong in (code(earlier, clock.now), "", "12345", "１２３４５６", "\ud800"):
        with pytest.raises(FactorError):
            factors.confirm_totp("kim", wrong)
    assert factors.ways("kim") == []
    shown = code(secret, clock.now)
    assert len(factors.confirm_totp("kim", f"{shown[:3]} {shown[3:]}")) == RECOVERY_CODES
    assert factors.ways("kim") == ["totp", "recovery"]
    found = accounts.find("kim")
    assert found
    assert found.second_factor
    with pytest.raises(FactorError, match="remove it"):
        factors.offer_totp("kim")


def test_a_code_is_good_one_step_early_or_late_and_only_once(tmp_path: Path, factors: Factors, clock: Clock) -> None:
    elsewhere = Factors(Accounts(tmp_path), clock)
    secret, _ = enrolled(factors, clock)
    clock.now += 10 * STEP_S
    assert factors.accept("kim", code(secret, clock.now - 2 * STEP_S)) is None
    assert factors.accept("kim", code(secret, clock.now + 2 * STEP_S)) is None
    late = code(secret, clock.now - STEP_S)
    assert factors.accept("kim", late) == "totp"
    assert factors.accept("kim", late) is None
    assert elsewhere.accept("kim", late) is None
    early = code(secret, clock.now + STEP_S)
    assert elsewhere.accept("kim", early) == "totp"
    assert factors.accept("kim", code(secret, clock.now)) is None  # older than one that was used
    assert factors.accept("lee", early) is None


def test_each_recovery_code_is_good_once(factors: Factors, clock: Clock) -> None:
    _, codes = enrolled(factors, clock)
    assert len(set(codes)) == RECOVERY_CODES
    assert {len(code.replace("-", "")) * 5 for code in codes} == {120}  # bits: each letter is one of 32
    assert factors.accept("lee", codes[0]) is None
    assert factors.accept("kim", codes[0]) == "recovery"
    assert factors.accept("kim", codes[0]) is None
    assert factors.accept("kim", codes[1].upper().replace("-", " ")) == "recovery"
    assert factors.left("kim") == RECOVERY_CODES - 2
    fresh = factors.new_recovery_codes("kim")
    assert factors.accept("kim", codes[2]) is None
    assert factors.accept("kim", fresh[2]) == "recovery"
    with pytest.raises(FactorError, match="add one first"):
        factors.new_recovery_codes("lee")


def test_recovery_codes_go_with_the_last_factor(factors: Factors, clock: Clock, accounts: Accounts) -> None:
    _, codes = enrolled(factors, clock)
    factors.remove_totp("kim")
    assert factors.ways("kim") == []
    assert factors.accept("kim", codes[0]) is None
    enrolled(factors, clock)
    factors.reset("kim")
    found = accounts.find("kim")
    assert found
    assert not found.second_factor


def test_the_file_alone_gives_no_secret(tmp_path: Path, factors: Factors, clock: Clock, accounts: Accounts) -> None:
    secret, codes = enrolled(factors, clock)
    accounts.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.db*"))
    assert b"kim" in content
    for text in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert text.encode() not in content
    (tmp_path / "keys" / "identity.key").write_bytes(bytes(32))
    without_key = Factors(Accounts(tmp_path), clock)
    assert without_key.accept("kim", code(secret, clock.now)) is None
    assert without_key.accept("kim", codes[0]) is None


def test_the_app_is_told_by_an_address_and_a_picture() -> None:
    secret = pyotp.random_base32()
    uri = totp_uri("kim@city", secret, "hub.example")
    assert uri.startswith("otpauth://totp/Hanmaru%20hub.example:kim%40city?")
    parsed = pyotp.parse_uri(uri)
    assert isinstance(parsed, pyotp.TOTP)
    assert (parsed.secret, parsed.interval) == (secret, STEP_S)
    picture = qr_svg(uri)
    assert picture.startswith("<svg")
    assert "<script" not in picture


@pytest.mark.parametrize("attestation", ["none", "packed"])
def test_a_passkey_signs_in_alone(accounts: Accounts, passkeys: Passkeys, kim: Account, attestation: str) -> None:
    device = Authenticator()
    options = passkeys.creation_options(kim, HERE)
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    id, codes = passkeys.add(kim, " phone ", device.create(options, attestation), HERE)
    assert len(codes) == RECOVERY_CODES
    assert [(key.id, key.title, key.last_used) for key in passkeys.of("kim")] == [(id, "phone", None)]
    found = accounts.find("kim")
    assert found
    assert found.second_factor
    for _ in range(2):
        options = passkeys.request_options(HERE)
        assert options["userVerification"] == "required"
        assert passkeys.accept(device.get(options), HERE) == "kim"
    assert passkeys.of("kim")[0].last_used
    assert not passkeys.remove("lee", id)
    assert passkeys.remove("kim", id)
    with pytest.raises(FactorError, match="not known"):
        passkeys.accept(device.get(passkeys.request_options(HERE)), HERE)


def registered(passkeys: Passkeys, account: Account, **settings: Any) -> Authenticator:
    device = Authenticator(**settings)
    passkeys.add(account, "phone", device.create(passkeys.creation_options(account, HERE)), HERE)
    return device


def test_an_answer_is_good_once(
    tmp_path: Path, passkeys: Passkeys, kim: Account, factors: Factors, clock: Clock
) -> None:
    device = registered(passkeys, kim, counts=False)
    answer = device.get(passkeys.request_options(HERE))
    assert passkeys.accept(answer, HERE) == "kim"
    elsewhere = Passkeys(Accounts(tmp_path), factors, clock)
    for again in (passkeys, elsewhere):
        with pytest.raises(FactorError, match="used before"):
            again.accept(answer, HERE)


def test_a_challenge_is_good_for_five_minutes_one_use_and_one_person(
    passkeys: Passkeys, kim: Account, accounts: Accounts, clock: Clock
) -> None:
    device = registered(passkeys, kim)
    options = passkeys.request_options(HERE)
    clock.now += CHALLENGE_S + 1
    with pytest.raises(FactorError, match="last minutes"):
        passkeys.accept(device.get(options), HERE)
    lee = accounts.find("lee")
    assert lee
    for challenge in (passkeys.creation_options(lee, HERE)["challenge"], encode(bytes(40)), "", "%", "x" * 5000):
        with pytest.raises(FactorError, match="last minutes"):
            passkeys.accept(device.get({"rpId": "localhost", "challenge": challenge}), HERE)
    with pytest.raises(FactorError, match="last minutes"):
        passkeys.add(lee, "stolen", Authenticator().create(passkeys.creation_options(kim, HERE)), HERE)


def test_a_cloned_passkey_is_found_by_its_counter(passkeys: Passkeys, kim: Account) -> None:
    device = registered(passkeys, kim)
    assert passkeys.accept(device.get(passkeys.request_options(HERE)), HERE) == "kim"
    device.count -= 1
    with pytest.raises(FactorError, match="sign count"):
        passkeys.accept(device.get(passkeys.request_options(HERE)), HERE)


def test_other_sites_and_unrecognised_people_are_refused(passkeys: Passkeys, kim: Account, accounts: Accounts) -> None:
    device = registered(passkeys, kim)
    device.origin = "https://localhost.evil.example"
    with pytest.raises(FactorError, match="origin"):
        passkeys.accept(device.get(passkeys.request_options(HERE)), HERE)
    evil = Party("evil.example", device.origin)
    with pytest.raises(FactorError, match="not known"):
        passkeys.accept(device.get(passkeys.request_options(evil)), evil)
    device.origin, device.flags = HERE.origin, PRESENT
    with pytest.raises(FactorError, match="verif"):
        passkeys.accept(device.get(passkeys.request_options(HERE)), HERE)
    with pytest.raises(FactorError, match="verif"):
        passkeys.add(kim, "no PIN", Authenticator(flags=PRESENT).create(passkeys.creation_options(kim, HERE)), HERE)
    device.flags = PRESENT | VERIFIED
    lee = accounts.find("lee")
    assert lee
    device.handle = registered(passkeys, lee).handle
    with pytest.raises(FactorError, match="another account"):
        passkeys.accept(device.get(passkeys.request_options(HERE)), HERE)


def test_a_forged_signature_is_refused(passkeys: Passkeys, kim: Account) -> None:
    device = registered(passkeys, kim)
    forger = Authenticator(id=device.id, handle=device.handle, count=100)
    with pytest.raises(FactorError, match="signature"):
        passkeys.accept(forger.get(passkeys.request_options(HERE)), HERE)


def test_a_passkey_is_registered_once_and_an_account_has_so_many(
    passkeys: Passkeys, kim: Account, accounts: Accounts
) -> None:
    device = registered(passkeys, kim)
    excluded = passkeys.creation_options(kim, HERE)["excludeCredentials"]
    assert [decode(entry["id"]) for entry in excluded] == [device.id]
    lee = accounts.find("lee")
    assert lee
    for account in (kim, lee):
        with pytest.raises(FactorError, match="registered already"):
            passkeys.add(account, "again", device.create(passkeys.creation_options(account, HERE)), HERE)
    for title in ("", " ", "x" * 81, "bell\x07"):
        with pytest.raises(FactorError, match="title"):
            passkeys.add(kim, title, Authenticator().create(passkeys.creation_options(kim, HERE)), HERE)
    for _ in range(MOST_PASSKEYS - 1):
        registered(passkeys, kim)
    with pytest.raises(FactorError, match="at most"):
        registered(passkeys, kim)


def test_options_are_what_browsers_parse(passkeys: Passkeys, kim: Account) -> None:
    """The members of PublicKeyCredentialCreationOptionsJSON and …RequestOptionsJSON (WebAuthn level 3, 5.1.10)."""
    options = json.loads(json.dumps(passkeys.creation_options(kim, HERE)))
    assert options["rp"] == {"id": "localhost", "name": "Hanmaru"}
    assert options["user"]["name"] == "kim"
    assert options["attestation"] == "none"
    assert {-7, -257} <= {param["alg"] for param in options["pubKeyCredParams"]}
    request = json.loads(json.dumps(passkeys.request_options(HERE)))
    assert request["rpId"] == "localhost"
    assert len(decode(request["challenge"])) == 40
    assert request["allowCredentials"] == []
