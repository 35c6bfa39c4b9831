locals {
  # Account, partition and region come from an ARN that is here anyway: no data source, no STS call. The function's
  # ARN is put together, so that policies can name the function and still exist before it.
  log_group_arn = split(":", aws_cloudwatch_log_group.this.arn)
  function_arn  = join(":", ["arn", local.log_group_arn[1], "lambda", local.log_group_arn[3], local.log_group_arn[4], "function", var.name])

  statements = merge(
    {
      Logs = {
        actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }
    },
    var.lambda.environment_kms_key_arn == null ? {} : {
      EnvironmentKey = {
        actions   = ["kms:Decrypt"]
        resources = [var.lambda.environment_kms_key_arn]
      }
    },
    var.lambda.failed_events == null ? {} : {
      FailedEvents = {
        actions   = [strcontains(var.lambda.failed_events.arn, ":sns:") ? "sns:Publish" : "sqs:SendMessage"]
        resources = [var.lambda.failed_events.arn]
      }
    },
    # These take no resource: "Actions, resources, and condition keys for AWS X-Ray" in the service authorization reference.
    !var.lambda.tracing ? {} : {
      Tracing = {
        actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        resources = ["*"]
      }
    },
    # Lambda itself makes the interfaces, and checks these on "*" when the function is created: Lambda guide, "Giving
    # Lambda functions access to resources in an Amazon VPC".
    var.lambda.vpc == null ? {} : {
      NetworkInterfaces = {
        actions = [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ]
        resources = ["*"]
      }
    },
    var.statements,
  )
}

# Before the function, or Lambda creates it on the first invocation: without retention, and outside Terraform.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  kms_key_id        = var.logs.kms_key_arn
  retention_in_days = var.logs.retention_in_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name                 = var.name
  path                 = var.lambda.role_path
  permissions_boundary = var.lambda.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.statements : merge(
        {
          Sid      = sid
          Effect   = try(statement.effect, "Allow")
          Action   = statement.actions
          Resource = statement.resources
        },
        try(statement.conditions, null) == null ? {} : { Condition = statement.conditions },
      )
    ]
  })
}

module "checkpoint_policy" {
  source = "../checkpoint_policy"

  function_arn = local.function_arn
}

resource "aws_iam_role_policy" "checkpoint" {
  count = var.durable_config == null ? 0 : 1

  name   = "checkpoint"
  role   = aws_iam_role.this.name
  policy = module.checkpoint_policy.json
}

resource "aws_lambda_function" "this" {
  architectures                  = [local.architecture]
  description                    = var.description
  function_name                  = var.name
  handler                        = coalesce(var.code.handler, "${replace(var.code.folders[0], "/", ".")}.handler.handler")
  kms_key_arn                    = var.lambda.environment_kms_key_arn
  memory_size                    = var.memory_size
  publish                        = true
  reserved_concurrent_executions = var.reserved_concurrency
  role                           = aws_iam_role.this.arn
  runtime                        = var.lambda.runtime
  s3_bucket                      = var.package == null ? aws_s3_object.package[0].bucket : var.package.s3_bucket
  s3_key                         = var.package == null ? aws_s3_object.package[0].key : var.package.s3_key
  s3_object_version              = var.package == null ? null : var.package.s3_object_version
  tags                           = var.tags
  timeout                        = var.timeout

  # A durable function takes a dead letter queue but no destination; for the others the destination tells more.
  dynamic "dead_letter_config" {
    for_each = var.durable_config != null && var.lambda.failed_events != null ? [var.lambda.failed_events] : []
    content {
      target_arn = dead_letter_config.value.arn
    }
  }

  dynamic "durable_config" {
    for_each = var.durable_config == null ? [] : [var.durable_config]
    content {
      execution_timeout = durable_config.value.execution_timeout
      retention_period  = durable_config.value.retention_period
    }
  }

  # An empty block would be a change in every plan.
  dynamic "environment" {
    for_each = length(var.environment_variables) == 0 ? [] : [var.environment_variables]
    content {
      variables = environment.value
    }
  }

  logging_config {
    application_log_level = var.logs.level
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = var.lambda.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.lambda.vpc == null ? [] : [var.lambda.vpc]
    content {
      security_group_ids = vpc_config.value.security_group_ids
      subnet_ids         = vpc_config.value.subnet_ids
    }
  }

  # Destroying a durable function first stops its running executions; network interfaces take their time, too.
  timeouts {
    delete = "60m"
  }

  # The first invocation may come right after the function, and Lambda checks some permissions when it is created.
  depends_on = [aws_iam_role_policy.checkpoint, aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  description      = "The version that callers use"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
  name             = "live"

  # AWS deletes a function's aliases with it: without this, a replaced function ends in a 404 on UpdateAlias.
  lifecycle {
    replace_triggered_by = [aws_lambda_function.this.id]
  }
}

resource "aws_lambda_function_event_invoke_config" "live" {
  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = var.event_invoke.maximum_event_age
  maximum_retry_attempts       = var.event_invoke.maximum_retries
  qualifier                    = aws_lambda_alias.live.name

  dynamic "destination_config" {
    for_each = var.durable_config == null && var.lambda.failed_events != null ? [var.lambda.failed_events] : []
    content {
      on_failure {
        destination = destination_config.value.arn
      }
    }
  }

  lifecycle {
    replace_triggered_by = [aws_lambda_alias.live.id]
  }
}

resource "aws_lambda_permission" "this" {
  for_each = var.invokers

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = each.value.principal
  qualifier     = aws_lambda_alias.live.name
  source_arn    = each.value.source_arn
  statement_id  = each.key

  lifecycle {
    replace_triggered_by = [aws_lambda_alias.live.id]
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.lambda.alarm_actions == null ? {} : {
    Errors    = "An invocation of ${var.name} failed."
    Throttles = "An invocation of ${var.name} was throttled: its concurrency is used up."
  }

  alarm_actions       = var.lambda.alarm_actions
  alarm_description   = each.value
  alarm_name          = "${var.name}-${lower(each.key)}"
  comparison_operator = "GreaterThanThreshold"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  evaluation_periods  = 1
  metric_name         = each.key
  namespace           = "AWS/Lambda"
  period              = 300
  statistic           = "Sum"
  tags                = var.tags
  threshold           = 0
  treat_missing_data  = "notBreaching"
}
