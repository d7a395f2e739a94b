# Both components in one region. Copy this, with the path or the address of the module.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = "us-east-1"

  # The scaler keeps cooldowns and drains in tags of the groups. The provider removes every tag that it does not know, unless
  # it is told to leave these alone.
  ignore_tags {
    key_prefixes = ["jitsi-scaler/"]
  }
}

module "groups" {
  source  = "../"
  subnets = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]

  groups = {
    prod-jvb = {
      component               = "jvb"
      min                     = 2
      max                     = 50
      launch_template_id      = "lt-0123456789abcdef0"
      launch_template_version = "1"
    }
    prod-jibri = {
      component               = "jibri"
      min                     = 2
      max                     = 20
      launch_template_id      = "lt-0fedcba9876543210"
      launch_template_version = "1"
    }
  }
}
