//! What an entry of the table of keys becomes: a field with its place in the schema, a step of
//! the decoder, a rule how layers lie over each other, and its default.

use std::time::Duration;

use super::super::fields::At;

/// Declares a map of the inventory.
///
/// Before its name stands how a layer lies over the one below it: `by_key`, or `whole`. Behind it stands where its keys
/// belong, for a person who wrote one of them elsewhere. Each key has its comment (for editors and the reference), its
/// shape in the schema, its type, its rule, which reads the value, and its default, if that is one value: the schema
/// tells it, and `map.key()` is what the file says, or else that; it is an `owned default` where it cannot be copied.
/// `and settings: Settings` takes in the keys of that map.
macro_rules! keys {
    (
        $(#[$of_map:meta])*
        $layers:ident $map:ident in $place:literal {
            $(
                $(#[$of_key:meta])*
                $key:ident: $type:ty = $read:expr $(, default $default:expr)? $(, owned default $owned:expr)?;
            )*
        } $(and $field:ident: $settings:ident)*
    ) => {
        #[derive(Debug, Clone, Default, JsonSchema)]
        #[schemars(default, deny_unknown_fields)]
        $(#[$of_map])*
        pub(super) struct $map {
            $(
                $(#[$of_key])*
                $(#[schemars(transform = $crate::inventory::shapes::with_default(keys!(@default $map $key $default)))])?
                $(#[schemars(transform = $crate::inventory::shapes::with_default(keys!(@default $map $key $owned)))])?
                pub(super) $key: Option<$type>,
            )*
            $(#[schemars(flatten)] pub(super) $field: $settings,)*
        }

        impl $map {
            $($(
                /// What the file says, or else the default.
                pub(in crate::inventory) const fn $key(
                    &self,
                ) -> <$type as $crate::inventory::file::table::Given>::Value {
                    match &self.$key {
                        Some(given) => given.value,
                        None => $default,
                    }
                }
            )?)*
            $($(
                /// The same for a value that is no plain number or word.
                pub(in crate::inventory) fn $key(
                    &self,
                ) -> <$type as $crate::inventory::file::table::Given>::Value {
                    self.$key.as_ref().map_or($owned, |given| given.value.clone())
                }
            )?)*
        }

        impl $crate::inventory::file::table::Keys for $map {
            const PLACE: &'static str = $place;
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];
            const ABSENT: Self = Self {
                $($key: None,)*
                $($field: <$settings as $crate::inventory::file::table::Keys>::ABSENT,)*
            };

            fn read(fields: &mut $crate::inventory::fields::Fields<'_>) -> Self {
                Self {
                    $($key: fields.read(stringify!($key), $read),)*
                    $($field: <$settings as $crate::inventory::file::table::Keys>::read(fields),)*
                }
            }
        }

        impl $crate::inventory::file::table::Layered for $map {
            fn over(self, below: Self) -> Self {
                keys!(@over $layers self below [$($key)* $($field)*])
            }
        }
    };
    // What the map says without the key. The value itself only says that there is one.
    (@default $map:ident $key:ident $default:expr) => {
        <$map as $crate::inventory::file::table::Keys>::ABSENT.$key()
    };
    (@over by_key $above:tt $below:tt [$($key:ident)*]) => {
        Self { $($key: $crate::inventory::file::table::Layered::over($above.$key, $below.$key),)* }
    };
    // As a whole: what stands in it belongs together.
    (@over whole $above:tt $below:tt [$($key:ident)*]) => {{
        drop($below);
        $above
    }};
}
pub(super) use keys;

/// A map of the inventory whose keys are ours.
pub(in crate::inventory) trait Keys: Sized {
    /// Where its keys belong.
    const PLACE: &'static str;
    /// As they are written, without those of the settings; a name that Rust keeps for itself is written `r#name`.
    const KEYS: &'static [&'static str];
    /// Not one key is there.
    const ABSENT: Self;

    /// Reads every key that is there.
    fn read(fields: &mut super::super::fields::Fields<'_>) -> Self;

    /// Reads a map that has no rules beyond those of its keys.
    fn of(value: &super::super::fields::FieldValue<'_>) -> Option<Self> {
        let mut fields = value.fields()?;
        let map = Self::read(&mut fields);
        fields.finish(super::decode::elsewhere);
        Some(map)
    }
}

/// A value that a key may have a default for.
pub(in crate::inventory) trait Given {
    type Value: Clone;
}

impl<T: Clone> Given for At<T> {
    type Value = T;
}

pub(super) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub(super) const fn minutes(number: u64) -> Duration {
    seconds(number * 60)
}

pub(super) const fn hours(number: u64) -> Duration {
    minutes(number * 60)
}

/// What may be said in several layers: `defaults` < groups < fleet < host.
pub(in crate::inventory) trait Layered {
    /// What this layer says wins over what the one below says.
    #[must_use]
    fn over(self, below: Self) -> Self;
}

impl<T: Layered> Layered for Option<T> {
    fn over(self, below: Self) -> Self {
        match (self, below) {
            (Some(above), Some(below)) => Some(above.over(below)),
            (above, below) => above.or(below),
        }
    }
}

impl<T> Layered for At<T> {
    fn over(self, _: Self) -> Self {
        self
    }
}

/// Lists replace each other.
impl<T> Layered for Vec<T> {
    fn over(self, _: Self) -> Self {
        self
    }
}
