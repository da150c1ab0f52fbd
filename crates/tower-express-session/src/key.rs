//! The names of attributes, with the type of their values.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

/// The name of an attribute and the type of its value, declared once.
///
/// Every method of [`Session`](crate::Session) that takes a name also takes a key. The compiler
/// then knows the type, and a misspelt constant does not compile.
///
/// ```
/// use tower_express_session::{Error, Key, Session};
///
/// const CART: Key<Vec<String>> = Key::new("cart");
///
/// async fn add_tea(session: Session) -> Result<String, Error> {
///     let mut cart = session.get(CART)?.unwrap_or_default();
///     cart.push("tea".to_owned());
///     session.insert(CART, &cart)?;
///     Ok(format!("{} items", cart.len()))
/// }
/// ```
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Returns a key for the attribute `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Returns the attribute's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The name of an attribute: a text, or a [`Key`].
pub trait AttributeName: Send + Sync {
    /// Returns the name.
    fn as_name(&self) -> &str;
}

/// The name of an attribute whose value is a `T`: a text, which works for every type, or a
/// [`Key<T>`](Key).
pub trait AttributeKey<T: ?Sized>: AttributeName {}

/// The name of an attribute that can be set to a `V`: a text, which works for every value, or a
/// [`Key<T>`](Key) whose type borrows as `V`. So a `Key<String>` accepts a `&str`, and a
/// `Key<Vec<T>>` a slice.
pub trait Accepts<V: ?Sized>: AttributeName {}

impl AttributeName for &str {
    fn as_name(&self) -> &str {
        self
    }
}

impl AttributeName for &String {
    fn as_name(&self) -> &str {
        self
    }
}

impl AttributeName for String {
    fn as_name(&self) -> &str {
        self
    }
}

impl<T> AttributeName for Key<T> {
    fn as_name(&self) -> &str {
        self.name
    }
}

impl<T: ?Sized> AttributeKey<T> for &str {}
impl<T: ?Sized> AttributeKey<T> for &String {}
impl<T: ?Sized> AttributeKey<T> for String {}
impl<T> AttributeKey<T> for Key<T> {}

impl<V: ?Sized> Accepts<V> for &str {}
impl<V: ?Sized> Accepts<V> for &String {}
impl<V: ?Sized> Accepts<V> for String {}
impl<T: Borrow<V>, V: ?Sized> Accepts<V> for Key<T> {}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}
