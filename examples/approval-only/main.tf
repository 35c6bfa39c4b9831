provider "aws" {
  region = var.region
}

# The secrets' values are put in by hand or by whatever rotates them: Terraform knows their ARNs only.
resource "aws_secretsmanager_secret" "slack" {
  for_each = toset(["bot-token", "signing-secret"])

  name = "${var.name}/slack/${each.key}"
}

module "workflow_gates" {
  source = "../.."

  name = var.name

  slack = {
    bot_token_secret_arn      = aws_secretsmanager_secret.slack["bot-token"].arn
    channel                   = var.channel
    signing_secret_secret_arn = aws_secretsmanager_secret.slack["signing-secret"].arn
  }

  approval_gate = {
    approvers = var.approvers
  }
}

# Whoever may ask: attach it to the role of a durable function, a pipeline, a person.
resource "aws_iam_policy" "ask" {
  name   = "${var.name}-ask-for-approval"
  policy = module.workflow_gates.approval_caller_policy_json
}
