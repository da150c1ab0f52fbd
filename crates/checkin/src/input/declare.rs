//! The macros that declare the shape of an input.

/// Declares a record: a struct whose fields are read under the names in quotes.
///
/// `..field` is a nested record. `in` is the place of a field that is not in a JSON object. `check`
/// checks rules of several fields. It gets each field as an `Option`, which is `None` if the field
/// breaks its own rule.
macro_rules! record {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $name:ident($context:ty) {
            $(..$part:ident: $part_type:ty;)*
            $($(#[doc = $doc:literal])* $field:ident $key:literal $(in $at:ident)?: $type:ty
                $(, example $example:literal)?;)*
        }
        $(check |$fields:ident, $with:ident| $check:block)?
    ) => {
        $(#[$attribute])*
        $vis struct $name {
            $($vis $part: $part_type,)*
            $($(#[doc = $doc])* $vis $field: $type,)*
        }

        impl $crate::input::FromFields for $name {
            type Context = $context;

            fn read(
                fields: &mut $crate::input::Fields<'_>,
                context: &Self::Context,
            ) -> Option<Self> {
                // Not every record uses it.
                let _ = context;
                $(let $part = <$part_type as $crate::input::FromFields>::read(fields, context);)*
                $(let $field = fields.take::<$type>($crate::input::record!(@at $($at)?), $key);)*
                $({
                    let ($fields, $with) = (&mut *fields, context);
                    $check
                })?
                Some(Self { $($part: $part?,)* $($field: $field?,)* })
            }
        }
    };
    (@at) => { $crate::input::At::Member };
    (@at $at:ident) => { $crate::input::At::$at };
    (@example) => { None };
    (@example $example:literal) => { Some($example.into()) };
}

/// Declares a JSON body: a [`record!`] and its schema.
macro_rules! body {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident $key:literal: $type:ty
                $(, example $example:literal)?;)*
        }
    ) => {
        $crate::input::record! {
            $(#[doc = $about])*
            $vis struct $name(()) {
                $($(#[doc = $doc])* $field $key: $type $(, example $example)?;)*
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let object = $crate::input::object(concat!($($about, "\n"),*));
                $(let object = $crate::input::member::<$type>(
                    object,
                    $key,
                    concat!($($doc, "\n"),*),
                    $crate::input::record!(@example $($example)?),
                );)*
                object.into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

/// Declares the parameters of a request: a [`record!`] and what the document says of each.
macro_rules! parameters {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $name:ident($context:ty) {
            $(..$part:ident: $part_type:ty;)*
            $($(#[doc = $doc:literal])* $field:ident $key:literal in $at:ident: $type:ty
                $(, example $example:literal)?;)*
        }
        $(check |$fields:ident, $with:ident| $check:block)?
    ) => {
        $crate::input::record! {
            $(#[$attribute])*
            $vis struct $name($context) {
                $(..$part: $part_type;)*
                $($(#[doc = $doc])* $field $key in $at: $type $(, example $example)?;)*
            }
            $(check |$fields, $with| $check)?
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                at: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                let own = vec![$((
                    $crate::input::At::$at,
                    $crate::input::parameter::<$type>(
                        $crate::input::At::$at,
                        $key,
                        concat!($($doc, "\n"),*),
                        $crate::input::record!(@example $($example)?),
                    ),
                )),*];
                let parts = vec![$(<$part_type as utoipa::IntoParams>::into_params(&at)),*];
                // A nested record knows the place of its fields.
                let _ = at;
                $crate::input::in_order(own, parts)
            }
        }
    };
}

pub(crate) use {body, parameters, record};
