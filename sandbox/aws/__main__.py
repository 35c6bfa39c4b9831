"""``python -m sandbox.aws``."""

from sandbox.aws.server import main

if __name__ == "__main__":
    raise SystemExit(main())
