provider "aws" {
  region = var.region
}

module "workflow_gates" {
  source = "../.."

  name = var.name

  maintenance_gate = {
    state_machine_names = var.state_machine_names

    # Whoever checks in on the first Saturday of a month, 22:00 to 23:30 in Berlin, waits for the rest of it.
    windows = {
      monthly = {
        duration_minutes = 90
        reason           = "Monthly maintenance of the warehouse"
        schedule         = "cron(0 22 ? * SAT#1 *)"
        timezone         = "Europe/Berlin"
      }
    }
  }
}

resource "aws_sfn_state_machine" "order" {
  name     = "Order"
  role_arn = aws_iam_role.order.arn

  definition = jsonencode({
    Comment = "Holds during maintenance"
    StartAt = "MaintenanceCheck"
    States = {
      MaintenanceCheck = merge(module.workflow_gates.maintenance_task_state, { Next = "BusinessLogic" })
      BusinessLogic    = { Type = "Pass", End = true }
    }
  })

  # The tag is the switch that people use: an apply in the middle of maintenance must not end it.
  lifecycle {
    ignore_changes = [
      tags["Maintenance"], tags["MaintenanceUntil"], tags_all["Maintenance"], tags_all["MaintenanceUntil"],
    ]
  }

  depends_on = [aws_iam_role_policy.check_in]
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

resource "aws_iam_role_policy" "check_in" {
  name   = "check-in"
  role   = aws_iam_role.order.name
  policy = module.workflow_gates.maintenance_caller_policy_json
}
