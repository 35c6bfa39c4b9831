provider "aws" {
  region = var.region
}

locals {
  # What a request's timeout leaves to the gate for its last messages, and to the workflow for the work itself.
  approval_execution_timeout = var.approval_timeout + 120
  order_execution_timeout    = local.approval_execution_timeout + 3600
}

module "workflow_gates" {
  source = "../.."

  name        = var.name
  environment = var.environment
  slack       = var.slack

  approval_gate = {
    approvers         = var.approvers
    default_timeout   = var.approval_timeout
    execution_timeout = local.approval_execution_timeout
  }

  bucket = {
    existing = var.bucket_arn == null ? null : { arn = var.bucket_arn }
  }
}

# The workflow: a durable function of your own, packed and deployed like the gates' functions, checkpoint policy included.
module "order_workflow" {
  source = "../../modules/lambda_function"

  bucket      = { arn = module.workflow_gates.bucket_arn, name = module.workflow_gates.bucket_name }
  description = "Processes orders that were approved"
  name        = "${var.name}-order-workflow"
  timeout     = 60 # of one run between two waits

  code = {
    folders  = ["order_workflow"]
    root     = "${path.module}/functions"
    services = ["secretsmanager"]
  }

  # Longer than the approval that it waits for.
  durable_config = {
    execution_timeout = local.order_execution_timeout
  }

  # A failed execution is not started again by itself: that would ask people a second time.
  event_invoke = {
    maximum_retries = 0
  }

  environment_variables = {
    APPROVAL_FUNCTION_ARN = module.workflow_gates.approval_function_arn
    RESULTS_CHANNEL       = coalesce(var.results_channel, var.slack.channel)
    SLACK_API_URL         = var.slack.api_url
    SLACK_BOT_TOKEN_ARN   = var.slack.bot_token_secret_arn
  }

  statements = {
    Announce = {
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.slack.bot_token_secret_arn]
    }
    Ask = {
      actions   = ["lambda:InvokeFunction"]
      resources = [module.workflow_gates.approval_function_arn]
    }
  }
}
