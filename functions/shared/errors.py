"""The root of every error that the functions raise on purpose."""


class WorkflowGatesError(Exception):
    """A failure with a message that names what was wrong, its value, and the fix.

    Messages never hold a secret, a callback id or a task token: they end up in logs and in Step Functions.
    """


class ConfigurationError(WorkflowGatesError):
    """The function's own settings are wrong: an operator has to change the deployment."""
