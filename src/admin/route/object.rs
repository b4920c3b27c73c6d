//! JSON objects, and nothing that serde takes for them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What is written as a JSON object. Serde takes an array, too, for a struct: its fields in their order, of
/// which nothing here says anything.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with named fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        n: u8,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        all: Vec<Object<Inner>>,
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<Object<Outer>>(text);
        assert_eq!(
            read(r#"{"all": [{"n": 1}]}"#).unwrap().0.all[0].0,
            Inner { n: 1 }
        );
        for wrong in ["[[]]", "[[{\"n\": 1}]]", r#"{"all": [[1]]}"#] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.contains("expected an object with named fields"),
                "{error}"
            );
        }
        let error = read(r#"{"all": [], "more": 1}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `more`"), "{error}");
        for wrong in ["1", "null", "\"x\"", "true"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
