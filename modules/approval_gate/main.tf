locals {
  functions     = "${path.module}/../../functions"
  function_name = "${var.name}-approval"

  # The request's own timeout has to leave the function time to lock the message and to answer.
  default_timeout = coalesce(var.default_timeout, min(86400, var.execution_timeout - 120))

  maximum_event_age = 21600

  function_arn = split(":", module.function.function_arn)
  partition    = local.function_arn[1]
}

module "function" {
  source = "../lambda_function"

  bucket               = var.bucket
  code                 = merge(jsondecode(file("${local.functions}/packages.json")).approval, { root = local.functions })
  description          = "Approval gate: asks people in Slack, waits for the click, hands the decision back"
  lambda               = var.lambda
  logs                 = var.logs
  memory_size          = var.memory_size
  name                 = local.function_name
  package              = var.package
  python               = var.python
  reserved_concurrency = var.reserved_concurrency
  tags                 = var.tags
  timeout              = 300 # a request that asks a hundred people directly, while Slack takes its time

  durable_config = {
    execution_timeout = var.execution_timeout
    retention_period  = var.retention_period
  }

  # A durable execution that failed is not started again: that would ask people a second time.
  event_invoke = {
    maximum_event_age = local.maximum_event_age
    maximum_retries   = 0
  }

  environment_variables = {
    APPROVERS                 = jsonencode(var.approvers)
    BUCKET                    = var.bucket.name
    DEFAULT_TIMEOUT_SECONDS   = local.default_timeout
    ENVIRONMENT               = coalesce(var.environment, var.name)
    EVENT_BUS_NAME            = var.event_bus_name
    EXECUTION_TIMEOUT_SECONDS = var.execution_timeout
    SLACK_API_URL             = var.slack.api_url
    SLACK_BOT_TOKEN_ARN       = var.slack.bot_token_secret_arn
    SLACK_CHANNEL             = var.slack.channel
  }

  statements = merge(
    {
      Claims = {
        actions   = ["s3:GetObject", "s3:PutObject"]
        resources = ["${var.bucket.arn}/approval-claims/*"]
      }
      # Without it a claim that cannot be seen yet reads as 403. "IfExists", because this may be asked about a GetObject.
      ClaimsListing = {
        actions    = ["s3:ListBucket"]
        conditions = { StringLikeIfExists = { "s3:prefix" = ["approval-claims/*"] } }
        resources  = [var.bucket.arn]
      }
      Events = {
        actions   = ["events:PutEvents"]
        resources = [join(":", ["arn", local.partition, "events", local.function_arn[3], local.function_arn[4], "event-bus/${var.event_bus_name}"])]
      }
      SlackBotToken = {
        actions   = [strcontains(var.slack.bot_token_secret_arn, ":ssm:") ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
        resources = [var.slack.bot_token_secret_arn]
      }
      # A task token belongs to no resource that a policy could name: "Actions, resources, and condition keys for
      # AWS Step Functions" in the service authorization reference.
      TaskAnswers = {
        actions   = ["states:SendTaskFailure", "states:SendTaskSuccess"]
        resources = ["*"]
      }
    },
    var.bucket.kms_key_arn == null ? {} : {
      BucketKey = {
        actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources = [var.bucket.kms_key_arn]
      }
    },
    length(var.slack.kms_key_arns) == 0 ? {} : {
      SlackSecretKeys = {
        actions    = ["kms:Decrypt"]
        conditions = { StringLike = { "kms:ViaService" = ["secretsmanager.*", "ssm.*"] } }
        resources  = var.slack.kms_key_arns
      }
    },
  )
}
