output "alias_arn" {
  description = "ARN of the alias `live`, through which the function is to be invoked."
  value       = aws_lambda_alias.live.arn
}

output "alias_invoke_arn" {
  description = "ARN by which API Gateway invokes the alias."
  value       = aws_lambda_alias.live.invoke_arn
}

output "function_arn" {
  description = "Unqualified ARN of the function. It is known before the function exists, so that its own policies can name it."
  value       = local.function_arn
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "role_name" {
  description = "Name of the execution role, to attach more to."
  value       = aws_iam_role.this.name
}
