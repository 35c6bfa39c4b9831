locals {
  functions     = "${path.module}/../../functions"
  function_name = "${var.name}-slack-webhook"
  path          = "/slack/interactions"
  request_url   = "${aws_apigatewayv2_api.this.api_endpoint}${local.path}"

  asks     = var.approval != null
  notifies = var.maintenance != null

  # https://docs.slack.dev/reference/app-manifest
  slack_app_manifest = {
    _metadata = { major_version = 1, minor_version = 1 }
    display_information = {
      name        = coalesce(var.slack.app_name, substr("${local.asks ? "Approvals" : "Maintenance"} ${var.name}", 0, 35))
      description = local.asks ? "Asks for approvals on behalf of workflows in AWS." : "Tells of maintenance of workflows in AWS."
    }
    features = {
      # Without the tab Slack delivers no direct messages of the app; people cannot write to it.
      app_home = { home_tab_enabled = false, messages_tab_enabled = true, messages_tab_read_only_enabled = true }
      bot_user = { display_name = "${var.name}-${local.asks ? "approvals" : "maintenance"}", always_online = true }
    }
    oauth_config = {
      scopes = {
        bot = concat(
          [
            "channels:history", # whether a message arrived when the connection broke, in public channels; notices, to find theirs
            "chat:write",
            "groups:history", # the same in private channels
          ],
          local.asks || local.notifies && length(try(var.maintenance.approvers.groups, [])) > 0 ? ["usergroups:read"] : [],
        )
      }
    }
    settings = {
      interactivity          = { is_enabled = true, request_url = local.request_url }
      org_deploy_enabled     = false
      socket_mode_enabled    = false
      token_rotation_enabled = false
    }
  }
}

module "function" {
  source = "../lambda_function"

  bucket               = var.bucket
  code                 = merge(jsondecode(file("${local.functions}/packages.json")).slack_webhook, { root = local.functions })
  description          = "Receives the clicks from Slack, and tells of maintenance there"
  lambda               = var.lambda
  logs                 = var.logs
  memory_size          = var.memory_size
  name                 = local.function_name
  package              = var.package
  python               = var.python
  reserved_concurrency = var.reserved_concurrency
  tags                 = var.tags
  timeout              = 30 # a click takes less than 3 seconds; events read histories

  environment_variables = merge(
    {
      ENVIRONMENT              = coalesce(var.environment, var.name)
      SLACK_API_URL            = var.slack.api_url
      SLACK_BOT_TOKEN_ARN      = var.slack.bot_token_secret_arn
      SLACK_SIGNING_SECRET_ARN = var.slack.signing_secret_secret_arn
    },
    !local.asks ? {} : {
      APPROVAL_FUNCTION_ARN = var.approval.function_arn
      BUCKET                = var.bucket.name
      EVENT_BUS_NAME        = var.approval.event_bus_name
    },
    !local.notifies ? {} : {
      MAINTENANCE_APPROVERS    = jsonencode(var.maintenance.approvers)
      MAINTENANCE_CHANNEL      = var.maintenance.channel
      MAINTENANCE_FUNCTION_ARN = var.maintenance.function_alias_arn
    },
  )

  # Clicks come synchronously; this is for the events. After the last retry they go to the failed events.
  event_invoke = {}

  invokers = merge(
    {
      SlackApi = {
        principal  = "apigateway.amazonaws.com"
        source_arn = "${aws_apigatewayv2_api.this.execution_arn}/*/POST${local.path}"
      }
    },
    !local.asks ? {} : {
      ApprovalStatus = {
        principal  = "events.amazonaws.com"
        source_arn = aws_cloudwatch_event_rule.status[0].arn
      }
    },
    !local.notifies ? {} : {
      MaintenanceNotices = {
        principal  = "events.amazonaws.com"
        source_arn = aws_cloudwatch_event_rule.notices[0].arn
      }
    },
  )

  statements = merge(concat(
    [{
      SlackBotToken = {
        actions   = [strcontains(var.slack.bot_token_secret_arn, ":ssm:") ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
        resources = [var.slack.bot_token_secret_arn]
      }
      SlackSigningSecret = {
        actions   = [strcontains(var.slack.signing_secret_secret_arn, ":ssm:") ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
        resources = [var.slack.signing_secret_secret_arn]
      }
    }],
    length(var.slack.kms_key_arns) == 0 ? [] : [{
      SlackSecretKeys = {
        actions    = ["kms:Decrypt"]
        conditions = { StringLike = { "kms:ViaService" = ["secretsmanager.*", "ssm.*"] } }
        resources  = var.slack.kms_key_arns
      }
    }],
    [for approval in var.approval[*] : {
      # The task of an execution that died before it claimed its token is claimed here.
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
      # Authorised against the execution, function:NAME:VERSION/durable-execution/...
      Callbacks = {
        actions = [
          "lambda:GetDurableExecution",
          "lambda:GetDurableExecutionHistory",
          "lambda:SendDurableExecutionCallbackSuccess",
        ]
        resources = ["${approval.function_arn}:*"]
      }
      # The bus is beside the approval function.
      Events = {
        actions   = ["events:PutEvents"]
        resources = ["${replace(approval.function_arn, "/:lambda:(.*):function:.*/", ":events:$1")}:event-bus/${approval.event_bus_name}"]
      }
      # A task token belongs to no resource that a policy could name: "Actions, resources, and condition keys for
      # AWS Step Functions" in the service authorization reference.
      TaskAnswers = {
        actions   = ["states:SendTaskFailure"]
        resources = ["*"]
      }
    }],
    !local.asks || var.bucket.kms_key_arn == null ? [] : [{
      BucketKey = {
        actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources = [var.bucket.kms_key_arn]
      }
    }],
    !local.notifies ? [] : [{
      EndMaintenance = {
        actions   = ["lambda:InvokeFunction"]
        resources = [var.maintenance.function_alias_arn]
      }
    }],
  )...)
}

resource "aws_apigatewayv2_api" "this" {
  description   = "Slack's interactivity request URL"
  name          = local.function_name
  protocol_type = "HTTP"
  tags          = var.tags
}

resource "aws_apigatewayv2_integration" "this" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = module.function.alias_invoke_arn
  payload_format_version = "2.0"
}

# Public, as Slack has no AWS credentials: the function checks Slack's signature before it looks at anything else.
resource "aws_apigatewayv2_route" "this" {
  api_id             = aws_apigatewayv2_api.this.id
  authorization_type = "NONE"
  route_key          = "POST ${local.path}"
  target             = "integrations/${aws_apigatewayv2_integration.this.id}"
}

# Below /aws/vendedlogs/, because API Gateway names every other log group in one resource policy of limited length.
resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/vendedlogs/apigateway/${local.function_name}"
  kms_key_id        = var.logs.kms_key_arn
  retention_in_days = var.logs.retention_in_days
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  auto_deploy = true
  name        = "$default"
  tags        = var.tags

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      errorMessage       = "$context.error.message"
      integrationError   = "$context.integrationErrorMessage"
      integrationLatency = "$context.integrationLatency"
      ip                 = "$context.identity.sourceIp"
      requestId          = "$context.requestId"
      requestTime        = "$context.requestTime"
      responseLatency    = "$context.responseLatency"
      responseLength     = "$context.responseLength"
      routeKey           = "$context.routeKey"
      status             = "$context.status"
      userAgent          = "$context.identity.userAgent"
    })
  }

  default_route_settings {
    throttling_burst_limit = var.throttling.burst_limit
    throttling_rate_limit  = var.throttling.rate_limit
  }
}

# Executions that ended without their own code: the waiting task is failed and the message locked.
resource "aws_cloudwatch_event_rule" "status" {
  count = local.asks ? 1 : 0

  description = "Approval executions that were stopped, failed or timed out"
  name        = "${var.name}-approval-status"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.lambda"]
    detail-type = ["Durable Execution Status Change"]
    detail = {
      # The event may name the function or the version.
      functionArn = [var.approval.function_arn, { prefix = "${var.approval.function_arn}:" }]
      status      = ["FAILED", "STOPPED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "status" {
  count = local.asks ? 1 : 0

  arn       = module.function.alias_arn
  rule      = aws_cloudwatch_event_rule.status[0].name
  target_id = "slack-webhook"
}

# What the maintenance function tells, and no other one on the same bus.
resource "aws_cloudwatch_event_rule" "notices" {
  count = local.notifies ? 1 : 0

  description    = "Maintenance began or ended, or needs an operator"
  event_bus_name = var.maintenance.event_bus_name
  name           = "${var.name}-maintenance-notices"
  tags           = var.tags

  event_pattern = jsonencode({
    source      = ["workflow-gates.maintenance"]
    detail-type = ["Maintenance Began", "Maintenance Ended", "Maintenance Trouble"]
    resources   = [replace(var.maintenance.function_alias_arn, "/:[^:]+$/", "")] # without the alias
  })
}

resource "aws_cloudwatch_event_target" "notices" {
  count = local.notifies ? 1 : 0

  arn            = module.function.alias_arn
  event_bus_name = var.maintenance.event_bus_name
  rule           = aws_cloudwatch_event_rule.notices[0].name
  target_id      = "slack-webhook"
}
