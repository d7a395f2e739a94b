//! The limits on tags and hooks of a group.

use std::collections::BTreeMap;

use super::error::{ApiError, ErrorCode};
use super::model::{Group, Hook, Tag};

/// The most tags that a group can have.
const TAGS_PER_GROUP: usize = 50;
/// The most hooks that a group can have.
const HOOKS_PER_GROUP: usize = 50;
/// The longest key of a tag, in characters.
const TAG_KEY: usize = 128;
/// The longest value of a tag, in characters.
const TAG_VALUE: usize = 256;

/// A tag to be written.
#[derive(Debug, Clone)]
pub struct TagWrite {
    /// The group.
    pub group: String,
    /// The key, at most 128 characters.
    pub key: String,
    /// The value.
    pub tag: Tag,
}

pub(super) fn check_tags(writes: &[TagWrite]) -> Result<(), ApiError> {
    writes.iter().try_for_each(|TagWrite { key, tag, .. }| {
        let too_long = |what: &str, value: &str, most: usize| {
            ApiError::invalid(format!(
                "1 validation error detected: Value '{value}' at 'tags.1.member.{what}' failed to satisfy \
                 constraint: Member must have length less than or equal to {most}"
            ))
        };
        if key.is_empty() {
            return Err(ApiError::invalid(
                "1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1",
            ));
        }
        if key.chars().count() > TAG_KEY {
            return Err(too_long("key", key, TAG_KEY));
        }
        if tag.value.chars().count() > TAG_VALUE {
            return Err(too_long("value", &tag.value, TAG_VALUE));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::invalid(format!("Tag key {key} begins with the reserved prefix aws:")));
        }
        Ok(())
    })
}

pub(super) fn put_tags(group: &mut Group, writes: Vec<TagWrite>) -> Result<(), ApiError> {
    let mut tags = group.tags.clone();
    tags.extend(writes.into_iter().map(|write| (write.key, write.tag)));
    if tags.len() > TAGS_PER_GROUP {
        return Err(ApiError::new(
            ErrorCode::LimitExceeded,
            format!("Tag limit of {TAGS_PER_GROUP} per AutoScalingGroup exceeded for {}", group.key.name),
        ));
    }
    group.tags = tags;
    Ok(())
}

pub(super) fn put_hooks(group: &mut Group, hooks: BTreeMap<String, Hook>) -> Result<(), ApiError> {
    for (name, hook) in &hooks {
        if group.hooks.get(name).is_some_and(|known| known.transition != hook.transition) {
            return Err(ApiError::invalid(format!(
                "The lifecycle transition of Lifecycle Hook {name} cannot be changed"
            )));
        }
    }
    let added = hooks.keys().filter(|name| !group.hooks.contains_key(*name)).count();
    if group.hooks.len() + added > HOOKS_PER_GROUP {
        return Err(ApiError::new(
            ErrorCode::LimitExceeded,
            format!("Lifecycle Hook limit of {HOOKS_PER_GROUP} per AutoScalingGroup exceeded"),
        ));
    }
    group.hooks.extend(hooks);
    Ok(())
}
