output "order_function_arn" {
  description = "ARN of the order workflow's alias: start it with `{\"order_id\": \"123\"}`."
  value       = module.order_workflow.alias_arn
}

output "slack_app_manifest" {
  description = "Manifest (JSON) of the Slack app, to paste at api.slack.com/apps."
  value       = module.workflow_gates.slack_app_manifest
}

output "slack_request_url" {
  description = "The interactivity request URL of the Slack app; the manifest has it already."
  value       = module.workflow_gates.slack_request_url
}
