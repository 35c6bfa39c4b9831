provider "aws" {
  region = var.region
}

module "workflow_gates" {
  source = "../.."

  name        = var.name
  environment = var.environment
  slack       = var.slack

  approval_gate = {
    approvers         = var.approvers
    default_timeout   = var.approval_timeout
    execution_timeout = var.execution_timeout
  }

  maintenance_gate = {
    notices = {
      approvers = { users = var.approvers }
      channel   = var.maintenance_channel
    }
    windows = var.maintenance_windows
  }

  bucket = {
    force_destroy = var.force_destroy
  }
}

# A workflow that checks in at the maintenance gate, and asks for approval where its input says what to ask:
#   {"approval": {"title": "Ship order 123?", "fields": {"Order": "123"}}}
resource "aws_sfn_state_machine" "order" {
  name     = var.state_machine_name
  role_arn = aws_iam_role.order.arn

  definition = jsonencode({
    Comment = "Holds during maintenance, asks when there is something to ask"
    StartAt = "MaintenanceCheck"
    States = {
      MaintenanceCheck = merge(module.workflow_gates.maintenance_task_state, { Next = "NeedsApproval" })
      NeedsApproval = {
        Type    = "Choice"
        Choices = [{ Variable = "$.approval", IsPresent = true, Next = "Ask" }]
        Default = "Done"
      }
      Ask  = merge(module.workflow_gates.approval_task_state, { Next = "Done" })
      Done = { Type = "Succeed" }
    }
  })

  # The tag is the switch that people use: an apply in the middle of maintenance must not end it.
  lifecycle {
    ignore_changes = [
      tags["Maintenance"], tags["MaintenanceUntil"], tags_all["Maintenance"], tags_all["MaintenanceUntil"],
    ]
  }

  depends_on = [aws_iam_role_policy.ask, aws_iam_role_policy.check_in]
}

resource "aws_iam_role" "order" {
  name = "${var.name}-order"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "ask" {
  name   = "ask"
  role   = aws_iam_role.order.name
  policy = module.workflow_gates.approval_caller_policy_json
}

resource "aws_iam_role_policy" "check_in" {
  name   = "check-in"
  role   = aws_iam_role.order.name
  policy = module.workflow_gates.maintenance_caller_policy_json
}
