"""Who asks: accounts in one small file, passwords, second factors, passkeys, sessions, and signing in and out."""
