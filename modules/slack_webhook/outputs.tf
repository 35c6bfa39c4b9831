output "alias_arn" {
  description = "ARN of the alias `live`."
  value       = module.function.alias_arn
}

output "function_name" {
  description = "Name of the function."
  value       = module.function.function_name
}

output "request_url" {
  description = "The interactivity request URL to enter in the Slack app."
  value       = local.request_url

  # Known only when a request to it would be answered.
  depends_on = [aws_apigatewayv2_route.this, aws_apigatewayv2_stage.this, module.function]
}

output "role_name" {
  description = "Name of the execution role, to attach more to."
  value       = module.function.role_name
}

output "slack_app_manifest" {
  description = "Manifest (JSON) to paste at api.slack.com/apps: the app with the scopes that the gates use, and with the request URL."
  value       = jsonencode(local.slack_app_manifest)
}
