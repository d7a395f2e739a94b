//! Values by name, such as those of policies.

#[cfg(test)]
use std::ops::Index;

use serde::{Serialize, Serializer};

use crate::units::PolicyName;

/// Values by the names of policies, in the order of the names. A tree would have room for eleven, and ten thousand groups have
/// several of these. In JSON an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named<V>(Box<[(PolicyName, V)]>);

impl<V> Named<V> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The same names, with what `of` says of each value.
    #[must_use]
    pub fn map<T>(&self, of: impl Fn(&V) -> T) -> Named<T> {
        Named(self.0.iter().map(|(name, value)| (name.clone(), of(value))).collect())
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<V> FromIterator<(PolicyName, V)> for Named<V> {
    fn from_iter<I: IntoIterator<Item = (PolicyName, V)>>(values: I) -> Self {
        let mut values: Box<[_]> = values.into_iter().collect();
        values.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self(values)
    }
}

#[cfg(test)]
impl<V, const N: usize> From<[(&str, V); N]> for Named<V> {
    fn from(values: [(&str, V); N]) -> Self {
        values.into_iter().map(|(name, value)| (PolicyName::new(name), value)).collect()
    }
}

#[cfg(test)]
impl<V> Index<&str> for Named<V> {
    type Output = V;

    fn index(&self, name: &str) -> &V {
        self.get(name).expect("a value of this name")
    }
}

impl<V: Serialize> Serialize for Named<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_stand_in_its_order() {
        let named = Named::from([("b", 2), ("a", 1)]);
        assert_eq!((named.get("a"), named.get("c"), named["b"]), (Some(&1), None, 2));
        assert_eq!(serde_json::to_string(&named).expect("JSON"), r#"{"a":1,"b":2}"#);
    }
}
