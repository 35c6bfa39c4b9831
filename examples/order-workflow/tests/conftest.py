from sandbox.testing import workflow_sandbox

__all__ = ["workflow_sandbox"]
