locals {
  # One bucket serves both gates; where both are off there is none.
  create_bucket = var.bucket.existing == null && (var.approval_gate != null || var.maintenance_gate != null)

  # By index: a reference to all of module.bucket would wait for the lifecycle rules, too, a minute of the provider's.
  bucket = var.bucket.existing == null ? {
    arn         = local.create_bucket ? module.bucket[0].arn : null
    kms_key_arn = var.bucket.kms_key_arn
    name        = local.create_bucket ? module.bucket[0].name : null
    } : {
    arn         = var.bucket.existing.arn
    kms_key_arn = var.bucket.existing.kms_key_arn
    name        = split(":::", var.bucket.existing.arn)[1]
  }

  notices = try(var.maintenance_gate.notices, null)

  # A claim has to outlive the execution that it names.
  claim_days = max(30, try(ceil(var.approval_gate.execution_timeout / 86400), 0) + 7)
}

module "bucket" {
  source = "./modules/bucket"
  count  = local.create_bucket ? 1 : 0

  force_destroy = var.bucket.force_destroy
  kms_key_arn   = var.bucket.kms_key_arn
  name          = var.bucket.name
  name_prefix   = substr("${var.name}-gates-", 0, 37)
  tags          = var.tags

  expiration_days = merge(
    var.approval_gate == null ? {} : { "approval-claims/" = local.claim_days },
    var.maintenance_gate == null ? {} : {
      "${var.maintenance_gate.prefix}/~dead/"       = 30
      "${var.maintenance_gate.prefix}/~quarantine/" = 30
    },
  )
}

module "approval_gate" {
  source = "./modules/approval_gate"
  count  = var.approval_gate == null ? 0 : 1

  approvers            = var.approval_gate.approvers
  bucket               = local.bucket
  default_timeout      = var.approval_gate.default_timeout
  environment          = var.environment
  event_bus_name       = var.approval_gate.event_bus_name
  execution_timeout    = var.approval_gate.execution_timeout
  lambda               = var.lambda
  logs                 = var.logs
  memory_size          = var.approval_gate.memory_size
  name                 = var.name
  package              = var.packages.approval
  python               = var.python
  reserved_concurrency = var.approval_gate.reserved_concurrency
  retention_period     = var.approval_gate.retention_period
  slack                = var.slack
  tags                 = var.tags
}

module "slack_webhook" {
  source = "./modules/slack_webhook"
  count  = var.approval_gate == null && local.notices == null ? 0 : 1

  bucket               = local.bucket
  environment          = var.environment
  lambda               = var.lambda
  logs                 = var.logs
  memory_size          = try(var.approval_gate.webhook.memory_size, null)
  name                 = var.name
  package              = var.packages.slack_webhook
  python               = var.python
  reserved_concurrency = try(var.approval_gate.webhook.reserved_concurrency, null)
  slack                = var.slack
  tags                 = var.tags
  throttling           = try(var.approval_gate.webhook.throttling, null)

  approval = var.approval_gate == null ? null : {
    event_bus_name = var.approval_gate.event_bus_name
    function_arn   = module.approval_gate[0].function_arn
  }

  maintenance = local.notices == null ? null : {
    approvers          = local.notices.approvers
    channel            = coalesce(local.notices.channel, var.slack.channel)
    event_bus_name     = var.maintenance_gate.event_bus_name
    function_alias_arn = module.maintenance_gate[0].alias_arn
  }
}

module "maintenance_gate" {
  source = "./modules/maintenance_gate"
  count  = var.maintenance_gate == null ? 0 : 1

  alarm_parked_hours     = var.maintenance_gate.alarm_parked_hours
  bucket                 = local.bucket
  environment            = var.environment
  event_bus_name         = var.maintenance_gate.event_bus_name
  lambda                 = var.lambda
  logs                   = var.logs
  memory_size            = var.maintenance_gate.memory_size
  name                   = var.name
  package                = var.packages.maintenance
  prefix                 = var.maintenance_gate.prefix
  python                 = var.python
  reserved_concurrency   = var.maintenance_gate.reserved_concurrency
  resume_rate_per_second = var.maintenance_gate.resume_rate_per_second
  state_machine_names    = var.maintenance_gate.state_machine_names
  tags                   = var.tags
  timeout                = var.maintenance_gate.timeout
  windows                = var.maintenance_gate.windows
}
