output "approval_function_arn" {
  description = "ARN of the approval function's alias: what callers invoke."
  value       = module.workflow_gates.approval_function_arn
}

output "ask_policy_arn" {
  description = "ARN of the policy for whoever may ask."
  value       = aws_iam_policy.ask.arn
}

output "secret_arns" {
  description = "ARNs of the secrets whose values are to be put in."
  value       = { for name, secret in aws_secretsmanager_secret.slack : name => secret.arn }
}

output "slack_app_manifest" {
  description = "Manifest (JSON) of the Slack app, to paste at api.slack.com/apps."
  value       = module.workflow_gates.slack_app_manifest
}

output "slack_request_url" {
  description = "The interactivity request URL of the Slack app; the manifest has it already."
  value       = module.workflow_gates.slack_request_url
}
