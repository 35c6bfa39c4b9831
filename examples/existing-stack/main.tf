# What the stack has already: a bucket, a durable function that deploys, a state machine that calls it. Lines marked
# "added" are all that the gates need of it.
provider "aws" {
  region = var.region
}

resource "aws_s3_bucket" "artifacts" {
  bucket_prefix = "shop-artifacts-"
}

resource "aws_iam_role" "deploy" {
  name = "shop-deploy"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_lambda_function" "deploy" {
  function_name = "shop-deploy"
  handler       = "deploy.handler"
  publish       = true
  role          = aws_iam_role.deploy.arn
  runtime       = "python3.13"
  s3_bucket     = var.deploy_package.s3_bucket
  s3_key        = var.deploy_package.s3_key

  durable_config {
    execution_timeout = 172800 # two days: longer than an approval may take
  }

  # Added: where to ask.
  environment {
    variables = {
      APPROVAL_FUNCTION = module.workflow_gates.approval_function_arn
    }
  }
}

resource "aws_iam_role" "order" {
  name = "shop-order"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
    }]
  })
}

resource "aws_sfn_state_machine" "order" {
  name     = "Order"
  role_arn = aws_iam_role.order.arn

  definition = jsonencode({
    StartAt = "MaintenanceCheck" # added
    States = {
      MaintenanceCheck = merge(module.workflow_gates.maintenance_task_state, { Next = "Ship" }) # added
      Ship             = { Type = "Pass", End = true }
    }
  })

  # Added: the tag is the switch that people use, an apply in the middle of maintenance must not end it.
  lifecycle {
    ignore_changes = [
      tags["Maintenance"], tags["MaintenanceUntil"], tags_all["Maintenance"], tags_all["MaintenanceUntil"],
    ]
  }

  depends_on = [aws_iam_role_policy.check_in]
}

# From here on everything is added.
module "workflow_gates" {
  source = "../.."

  name  = "shop"
  slack = var.slack

  # The deployment asks, with a request that times out after a day.
  approval_gate = {
    approvers = var.approvers
  }

  maintenance_gate = {
    state_machine_names = ["Order"] # not aws_sfn_state_machine.order.name: the definition needs the gate first
  }

  bucket = {
    existing = { arn = aws_s3_bucket.artifacts.arn }
  }
}

# The deploying function asks by invoking the approval function ...
resource "aws_iam_role_policy" "ask" {
  name   = "ask"
  role   = aws_iam_role.deploy.name
  policy = module.workflow_gates.approval_caller_policy_json
}

# ... and, being durable, keeps checkpoints.
module "checkpoint_policy" {
  source = "../../modules/checkpoint_policy"

  function_arn = aws_lambda_function.deploy.arn
}

resource "aws_iam_role_policy" "checkpoint" {
  name   = "checkpoint"
  role   = aws_iam_role.deploy.name
  policy = module.checkpoint_policy.json
}

resource "aws_iam_role_policy" "check_in" {
  name   = "check-in"
  role   = aws_iam_role.order.name
  policy = module.workflow_gates.maintenance_caller_policy_json
}
