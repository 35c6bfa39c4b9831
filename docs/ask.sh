#!/usr/bin/env bash
# Asks for approval and waits for the decision:  ask.sh NAME REQUEST
#
#   NAME      of the durable execution, 1 to 64 letters, digits, "-" and "_": one name is one request, so a job that
#             runs again waits for the decision that it asked for before
#   REQUEST   JSON, for example '{"title": "Deploy build 42?"}'
#
# Prints the decision (JSON). Exit code: 0 approved, 1 rejected, 2 nobody decided (timed out, cancelled, undelivered),
# 3 the execution ended without a decision (wrong request, stopped); anything else is the AWS CLI's own.
set -euo pipefail
: "${APPROVAL_FUNCTION_ARN:?set it to the Terraform output approval_function_arn}"
name=${1:?NAME is missing} request=${2:?REQUEST is missing}

execution=$(aws lambda invoke --function-name "$APPROVAL_FUNCTION_ARN" --invocation-type Event \
  --durable-execution-name "$name" --cli-binary-format raw-in-base64-out --payload "{\"request\": $request}" \
  --query DurableExecutionArn --output text /dev/null)

look() { aws lambda get-durable-execution --durable-execution-arn "$execution" --query "$1" --output "$2"; }

while status=$(look Status text) || exit; [[ $status =~ ^(RUNNING|PAUSING|PAUSED)$ ]]; do
  sleep "${POLL_SECONDS:-10}"
done
if [[ $status != SUCCEEDED ]]; then
  echo "$execution: $status" >&2
  look Error json >&2
  exit 3
fi
decision=$(look Result text)
echo "$decision"
case $(python3 -c 'import json, sys; print(json.load(sys.stdin)["decision"])' <<<"$decision") in
  approved) exit 0 ;;
  rejected) exit 1 ;;
  *) exit 2 ;;
esac
