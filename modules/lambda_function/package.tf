locals {
  builder = "${path.module}/../../functions/build.py"

  architecture = "arm64"

  # The durable execution SDK makes a client of its own.
  services = setunion(var.code.services, var.durable_config == null ? [] : ["lambda"])

  # An allow-list of relative names, the same on every machine: __pycache__, *.pyc, swap files and editors' lock files
  # (.#handler.py is a broken link, which would fail the plan) never count. build.py packs exactly these files.
  package_files = sort(flatten([
    for folder in var.code.folders :
    [for file in fileset("${var.code.root}/${folder}", "**/[A-Za-z_]*.{py,json}") : "${folder}/${file}"]
  ]))
  package_requirements = coalesce(var.code.requirements, "${var.code.folders[0]}/requirements.txt")

  # Everything that decides what is in the zip. CRLF counts as LF, here and in build.py.
  package_inputs = {
    architecture = local.architecture
    builder      = sha256(replace(file(local.builder), "\r\n", "\n"))
    files = {
      for file in concat(local.package_files, [local.package_requirements]) :
      file => sha256(replace(file("${var.code.root}/${file}"), "\r\n", "\n"))
    }
    runtime  = var.lambda.runtime
    services = sort(local.services)
  }
  package_hash = substr(sha256(jsonencode(local.package_inputs)), 0, 32)

  # The deployed name keeps two functions that share a bucket and their sources from managing the same object.
  package_key = "functions/${var.name}/${local.package_hash}"

  # Below the root's .terraform: writable, ignored by git, and the same text in every checkout.
  package_zip = "${path.root}/.terraform/packages/${replace(var.code.folders[0], "/", "-")}-${local.package_hash}.zip"
}

# What goes into the package. It is written before the build and the build hangs on it: whoever may not write to the
# bucket finds out first, a package missing from the bucket is built again, and its diff names the file that changed.
#
# None of the three resources is created before it is destroyed: keys repeat, and the old object's deletion would
# remove the new one.
resource "aws_s3_object" "manifest" {
  count = var.package == null ? 1 : 0

  bucket       = var.bucket.name
  content      = jsonencode(local.package_inputs)
  content_type = "application/json"
  key          = "${local.package_key}.json"

  # An S3 object takes 10 tags, default_tags may hold 50.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

resource "terraform_data" "package" {
  count = var.package == null ? 1 : 0

  triggers_replace = [local.package_hash, var.bucket.arn, aws_s3_object.manifest[0].etag]

  provisioner "local-exec" {
    interpreter = [var.python, "-B", local.builder] # no shell, so nothing to quote
    command     = local.package_zip
    environment = {
      PACKAGE_SPEC = jsonencode({
        architecture = local.architecture
        files        = local.package_files
        requirements = local.package_requirements
        root         = var.code.root
        runtime      = var.lambda.runtime
        services     = local.services
      })
    }
  }
}

# Neither etag nor source_code_hash: the key says what is in the zip, and the zip exists only where it was built.
resource "aws_s3_object" "package" {
  count = var.package == null ? 1 : 0

  bucket      = var.bucket.name
  key         = "${local.package_key}.zip"
  source      = local.package_zip
  source_hash = terraform_data.package[0].id # a new build is uploaded again, in place

  override_provider {
    default_tags {
      tags = {}
    }
  }
}
