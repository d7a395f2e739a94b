//! The resources of Azure Resource Manager: what a path and a method ask for.

use super::model::SetKey;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// The sets of a resource group, or of the subscription.
    Sets(Option<String>),
    Set(SetKey),
    InstanceView(SetKey),
    Delete(SetKey),
    Reimage(SetKey),
    RollingUpgrade(SetKey),
    Tags(SetKey),
    Instances(SetKey),
    Instance(SetKey, String),
    /// The machines of a resource group: instances of flexible sets.
    Machines(String),
    Machine(String, String),
    /// The status of an operation, as `Azure-AsyncOperation` names it.
    Operation(String),
    /// Its result, as `Location` names it.
    OperationResult(String),
    /// The autoscale settings of a resource group, or of the subscription.
    Autoscale(Option<String>),
}

/// A path, if it is one of these: the subscription and the resource.
pub(super) fn parse(path: &str) -> Option<(String, Resource)> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let lower: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let ["subscriptions", subscription, rest @ ..] = &words[..] else { return None };
    let text = |word: &str| word.to_owned();
    let resource = match rest {
        ["providers", "microsoft.compute", "virtualmachinescalesets"] => Resource::Sets(None),
        ["providers", "microsoft.compute", "locations", _, "operations", id] => Resource::Operation(text(id)),
        ["providers", "microsoft.compute", "locations", _, "operationresults", id] => {
            Resource::OperationResult(text(id))
        }
        ["providers", "microsoft.insights", "autoscalesettings"] => Resource::Autoscale(None),
        ["resourcegroups", group, "providers", "microsoft.insights", "autoscalesettings"] => {
            Resource::Autoscale(Some(text(group)))
        }
        ["resourcegroups", group, "providers", "microsoft.compute", "virtualmachines", machine @ ..] => {
            match machine {
                [] => Resource::Machines(text(group)),
                [name] => Resource::Machine(text(group), text(name)),
                _ => return None,
            }
        }
        ["resourcegroups", group, "providers", "microsoft.compute", "virtualmachinescalesets", set @ ..] => {
            let Some((name, of_set)) = set.split_first() else {
                return Some((text(subscription), Resource::Sets(Some(text(group)))));
            };
            let key = SetKey::new(group, name);
            match of_set {
                [] => Resource::Set(key),
                ["instanceview"] => Resource::InstanceView(key),
                ["delete"] => Resource::Delete(key),
                ["reimage"] => Resource::Reimage(key),
                ["rollingupgrades", "latest"] => Resource::RollingUpgrade(key),
                ["providers", "microsoft.resources", "tags", "default"] => Resource::Tags(key),
                ["virtualmachines"] => Resource::Instances(key),
                ["virtualmachines", id] => Resource::Instance(key, text(id)),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((text(subscription), resource))
}

impl Resource {
    /// The set that it belongs to.
    pub(super) fn set(&self) -> Option<&SetKey> {
        match self {
            Self::Set(key)
            | Self::InstanceView(key)
            | Self::Delete(key)
            | Self::Reimage(key)
            | Self::RollingUpgrade(key)
            | Self::Tags(key)
            | Self::Instances(key)
            | Self::Instance(key, _) => Some(key),
            _ => None,
        }
    }

    /// The name of a call, for faults and the record.
    pub(super) fn action(&self, method: &str) -> &'static str {
        match (self, method) {
            (Self::Sets(_), "GET") => "ListSets",
            (Self::Set(_), "GET") => "GetSet",
            (Self::Set(_), "PATCH") => "UpdateSet",
            (Self::Set(_), "DELETE") => "DeleteSet",
            (Self::InstanceView(_), "GET") => "GetInstanceView",
            (Self::Delete(_), "POST") => "DeleteInstances",
            (Self::Reimage(_), "POST") => "Reimage",
            (Self::RollingUpgrade(_), "GET") => "GetRollingUpgrade",
            (Self::Tags(_), "GET") => "GetTags",
            (Self::Tags(_), "PATCH") => "UpdateTags",
            (Self::Instances(_), "GET") => "ListInstances",
            (Self::Instance(..), "GET") => "GetInstance",
            (Self::Instance(..), "PUT" | "PATCH") => "UpdateInstance",
            (Self::Machines(_), "GET") => "ListMachines",
            (Self::Machine(..), "GET") => "GetMachine",
            (Self::Machine(..), "DELETE") => "DeleteMachine",
            (Self::Operation(_), "GET") => "GetOperation",
            (Self::OperationResult(_), "GET") => "GetOperationResult",
            (Self::Autoscale(_), "GET") => "ListAutoscaleSettings",
            _ => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_without_case() {
        let set =
            "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachineScaleSets/JVB";
        let key = || SetKey::new("rg", "jvb");
        let of = |rest: &str| parse(&format!("{set}{rest}")).map(|(_, resource)| resource);
        assert_eq!(of(""), Some(Resource::Set(key())));
        assert_eq!(of("/virtualMachines/3"), Some(Resource::Instance(key(), "3".to_owned())));
        assert_eq!(of("/providers/Microsoft.Resources/tags/default"), Some(Resource::Tags(key())));
        assert_eq!(of("/nothing"), None);
        assert_eq!(parse("/subscriptions"), None);
        let all = parse("/subscriptions/s/providers/Microsoft.Compute/virtualMachineScaleSets");
        assert_eq!(all, Some(("s".to_owned(), Resource::Sets(None))));
    }
}
