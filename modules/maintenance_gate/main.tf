locals {
  functions     = "${path.module}/../../functions"
  function_name = "${var.name}-maintenance"

  # Account, partition and region of the function are those of the state machines that it can hold.
  arn                = split(":", module.function.function_arn)
  states_arn         = "arn:${local.arn[1]}:states:${local.arn[3]}:${local.arn[4]}"
  state_machine_arns = [for name in var.state_machine_names : "${local.states_arn}:stateMachine:${name}"]

  # One schedule for each window and state machine; a window of all state machines is one begin.
  window_schedules = merge([
    for name, window in var.windows : {
      for machine in coalesce(window.state_machine_names, ["*"]) :
      (machine == "*" ? name : "${name}/${machine}") => merge(window, {
        name  = machine == "*" ? name : "${name}-${substr(sha256(machine), 0, 12)}" # machines' names can be longer than schedules'
        scope = machine == "*" ? { scope = "all" } : { stateMachineArn = "${local.states_arn}:stateMachine:${machine}" }
        title = name
      })
    }
  ]...)

  # What only the gate can tell; errors and throttles of the function have alarms of their own.
  alarms = merge(
    {
      parked-too-long = {
        comparison_operator = "GreaterThanThreshold"
        description         = "A parked task has waited for more than ${var.alarm_parked_hours} hours. Is the maintenance still meant to be on? The action status shows it."
        metric_name         = "OldestParkedTaskAge"
        period              = 300
        statistic           = "Maximum"
        threshold           = var.alarm_parked_hours * 3600
      }
      sweep-incomplete = {
        comparison_operator = "GreaterThanThreshold"
        datapoints_to_alarm = 3
        description         = "Three of five sweeps could not bring every gate in line: tasks may wait for longer than their maintenance. The function's log says which, and why."
        evaluation_periods  = 5
        metric_name         = "SweepFailures"
        period              = 60
        statistic           = "Maximum"
        threshold           = 0
      }
      # A sweep that never starts fails nowhere else.
      sweep-missing = {
        comparison_operator = "LessThanThreshold"
        description         = "No sweep has ended for five minutes: changed tags that no event told, lost drains and ends of maintenance go unnoticed. Look at the rule ${var.name}-maintenance-sweep, and at the function's log and throttles."
        evaluation_periods  = 5
        metric_name         = "Sweeps"
        period              = 60
        statistic           = "Sum"
        threshold           = 1
        treat_missing_data  = "breaching"
      }
      tasks-dead = {
        comparison_operator = "GreaterThanThreshold"
        description         = "Step Functions called checked-in tasks over: their executions were stopped or timed out, or they had been resumed before. If one still waits, use the action replay."
        metric_name         = "TasksDead"
        period              = 300
        statistic           = "Sum"
        threshold           = 0
      }
      tasks-quarantined = {
        comparison_operator = "GreaterThanThreshold"
        description         = "Parked tasks hold no valid task token, so that nobody can resume them. Look at the objects below ${var.prefix}/~quarantine/, repair them, and use the action replay."
        metric_name         = "TasksQuarantined"
        period              = 300
        statistic           = "Sum"
        threshold           = 0
      }
    },
    length(var.windows) == 0 ? {} : {
      window-dropped = {
        comparison_operator = "GreaterThanThreshold"
        description         = "EventBridge Scheduler gave up beginning a maintenance window. Begin it by the action begin, and look at the role ${var.name}-maintenance-windows."
        dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.windows[0].name }
        metric_name         = "InvocationDroppedCount"
        namespace           = "AWS/Scheduler"
        period              = 300
        statistic           = "Sum"
        threshold           = 0
      }
    },
  )

  # What the task state has in both query languages.
  task_state = {
    Type           = "Task"
    Resource       = "arn:${local.arn[1]}:states:::lambda:invoke.waitForTaskToken"
    TimeoutSeconds = 31536000 # a year: no execution lives longer

    # A check-in is harmless to repeat: a token that was parked before is dead, and is put aside. The first is the
    # function's own: AWS let it neither answer the task nor park it.
    Retry = [{
      ErrorEquals = [
        "CloudError",
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
      ]
      IntervalSeconds = 2
      BackoffRate     = 2
      MaxAttempts     = 8
    }]
  }
}

module "function" {
  source = "../lambda_function"

  bucket               = var.bucket
  code                 = merge(jsondecode(file("${local.functions}/packages.json")).maintenance, { root = local.functions })
  description          = "Maintenance gate: holds Step Functions executions while their state machine has the tag Maintenance"
  lambda               = var.lambda
  logs                 = var.logs
  memory_size          = var.memory_size
  name                 = local.function_name
  package              = var.package
  python               = var.python
  reserved_concurrency = var.reserved_concurrency
  tags                 = var.tags
  timeout              = var.timeout

  environment_variables = {
    Bucket              = var.bucket.name
    ENVIRONMENT         = coalesce(var.environment, var.name)
    EVENT_BUS_NAME      = var.event_bus_name
    Prefix              = var.prefix
    ResumeRatePerSecond = tostring(var.resume_rate_per_second)
    StateMachineNames   = jsonencode(var.state_machine_names)
  }

  # Every event may be handled again, and what is lost in the end the next sweep does.
  event_invoke = {
    maximum_event_age = 3600
    maximum_retries   = 2
  }

  invokers = {
    MaintenanceSweep = {
      principal  = "events.amazonaws.com"
      source_arn = aws_cloudwatch_event_rule.sweep.arn
    }
    MaintenanceTag = {
      principal  = "events.amazonaws.com"
      source_arn = aws_cloudwatch_event_rule.tag.arn
    }
  }

  statements = merge(
    {
      Events = {
        actions   = ["events:PutEvents"]
        resources = ["arn:${local.arn[1]}:events:${local.arn[3]}:${local.arn[4]}:event-bus/${var.event_bus_name}"]
      }
      # Whether the execution of a parked task still runs; a Map Run's children have NAME/LABEL in the place of NAME.
      Executions = {
        actions   = ["states:DescribeExecution"]
        resources = flatten([for name in var.state_machine_names : ["${local.states_arn}:execution:${name}:*", "${local.states_arn}:execution:${name}/*:*"]])
      }
      # A drain that runs out of time hands over to the next invocation.
      HandOver = {
        actions   = ["lambda:InvokeFunction"]
        resources = ["${module.function.function_arn}:live"]
      }
      # The protocol writes flags, it never deletes one: a missing flag means closed.
      FlagsStay = {
        actions   = ["s3:DeleteObject"]
        effect    = "Deny"
        resources = ["${var.bucket.arn}/${var.prefix}/~flags/*"]
      }
      ParkedTasks = {
        actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        resources = ["${var.bucket.arn}/${var.prefix}/*"]
      }
      # Without it a missing flag reads as 403, which is not "missing". "IfExists", because this may be asked about
      # a GetObject, too.
      ParkedTasksListing = {
        actions    = ["s3:ListBucket"]
        conditions = { StringLikeIfExists = { "s3:prefix" = ["${var.prefix}/*"] } }
        resources  = [var.bucket.arn]
      }
      StateMachineTags = {
        actions   = ["states:ListTagsForResource"]
        resources = local.state_machine_arns
      }
      StateMachineTagging = {
        actions    = ["states:TagResource", "states:UntagResource"]
        conditions = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["Maintenance", "MaintenanceUntil"] } }
        resources  = local.state_machine_arns
      }
      # These two take no resource: "Actions, resources, and condition keys for Amazon Resource Group Tagging API" and
      # "... for AWS Step Functions" (a task token belongs to none) in the service authorization reference.
      TaggedStateMachines = {
        actions   = ["tag:GetResources"]
        resources = ["*"]
      }
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
  )
}

# Lambda counts how often a function has invoked itself through the SDK and stops a chain after about 16 ("Use Lambda
# recursive loop detection to prevent infinite loops" in the Lambda guide). A long drain hands over more often: with five
# minutes per invocation, 16 are a million tasks at 200 per second, but 50,000 at 10. The drain has a bound of its own: it
# hands over only where it has resumed or put aside at least one parked task.
resource "aws_lambda_function_recursion_config" "this" {
  function_name  = module.function.function_name
  recursive_loop = "Allow"
}

# Any way of changing the tag sends this event, as best effort: the sweep finds what it missed.
resource "aws_cloudwatch_event_rule" "tag" {
  description = "The tag Maintenance of a state machine changed"
  name        = "${var.name}-maintenance-tag"
  tags        = var.tags

  event_pattern = jsonencode(merge(
    {
      source      = ["aws.tag"]
      detail-type = ["Tag Change on Resource"]
      detail = {
        changed-tag-keys = ["Maintenance"]
        resource-type    = ["stateMachine"]
        service          = ["states"]
      }
    },
    contains(var.state_machine_names, "*") ? {} : { resources = [for arn in local.state_machine_arns : { wildcard = arn }] },
  ))
}

resource "aws_cloudwatch_event_target" "tag" {
  arn       = module.function.alias_arn
  rule      = aws_cloudwatch_event_rule.tag.name
  target_id = "maintenance"
}

resource "aws_cloudwatch_event_rule" "sweep" {
  description         = "Looks for what no event told: changed tags, parked tasks, abandoned drains"
  name                = "${var.name}-maintenance-sweep"
  schedule_expression = "rate(1 minute)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "sweep" {
  arn       = module.function.alias_arn
  input     = jsonencode({ action = "sweep" })
  rule      = aws_cloudwatch_event_rule.sweep.name
  target_id = "maintenance"

  # A sweep that could not start is not made up for: the next is due.
  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }
}

# A group of their own is what the role trusts: AWS takes no single schedule there ("Confused deputy prevention" in the
# EventBridge Scheduler guide).
resource "aws_scheduler_schedule_group" "windows" {
  count = length(var.windows) > 0 ? 1 : 0

  name = "${var.name}-maintenance-windows"
  tags = var.tags
}

resource "aws_scheduler_schedule" "window" {
  for_each = local.window_schedules

  description                  = "Begins the maintenance window ${each.value.title}, which ends by itself after ${each.value.duration_minutes} minutes"
  group_name                   = aws_scheduler_schedule_group.windows[0].name
  name                         = each.value.name
  schedule_expression          = each.value.schedule
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function.alias_arn
    role_arn = aws_iam_role.windows[0].arn

    # jsonencode() escapes the brackets, and AWS replaces only what stands in the text as it is.
    input = replace(replace(jsonencode(merge(
      each.value.scope,
      {
        action          = "begin"
        by              = "maintenance window ${each.value.title}"
        durationSeconds = each.value.duration_minutes * 60
        scheduledAt     = "<aws.scheduler.scheduled-time>"
      },
      each.value.reason == null ? {} : { reason = each.value.reason },
    )), "\\u003c", "<"), "\\u003e", ">")

    # A begin that comes late still begins what is left of the window; after its end it does nothing.
    retry_policy {
      maximum_event_age_in_seconds = min(each.value.duration_minutes * 60, 86400)
      maximum_retry_attempts       = 185
    }
  }

  # The first begin may be due right away.
  depends_on = [aws_iam_role_policy.windows]
}

resource "aws_iam_role" "windows" {
  count = length(var.windows) > 0 ? 1 : 0

  name                 = "${var.name}-maintenance-windows"
  path                 = var.lambda.role_path
  permissions_boundary = var.lambda.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.arn[4]
          "aws:SourceArn"     = aws_scheduler_schedule_group.windows[0].arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "windows" {
  count = length(var.windows) > 0 ? 1 : 0

  name = "begin"
  role = aws_iam_role.windows[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Begin"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = module.function.alias_arn
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if var.lambda.alarm_actions != null }

  alarm_actions       = var.lambda.alarm_actions
  alarm_description   = each.value.description
  alarm_name          = "${local.function_name}-${each.key}"
  comparison_operator = each.value.comparison_operator
  datapoints_to_alarm = try(each.value.datapoints_to_alarm, null)
  dimensions          = try(each.value.dimensions, { FunctionName = module.function.function_name })
  evaluation_periods  = try(each.value.evaluation_periods, 1)
  metric_name         = each.value.metric_name
  namespace           = try(each.value.namespace, "WorkflowGates/Maintenance")
  period              = each.value.period
  statistic           = each.value.statistic
  tags                = var.tags
  threshold           = each.value.threshold
  treat_missing_data  = try(each.value.treat_missing_data, "notBreaching")
}
