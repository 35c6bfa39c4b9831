"""``python -m sandbox.aws``."""

from sandbox.aws.isolation import isolate

if __name__ == "__main__":
    environment = isolate()
    from sandbox.aws.server import main  # imports moto, hence only now

    main(environment)
