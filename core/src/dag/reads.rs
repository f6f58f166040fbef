//! What a node reads, as types: a tuple of nodes turns into a tuple of their results.

#![forbid(unsafe_code)]

use super::{
    builder::{Dependency, Node},
    call::Call,
    value::{Arg, Failure},
};

/// Nodes whose results a node is given: [`Node`]s, tuples of them, vectors; and [`Optional`] ones.
pub trait Reads: Send + Sync + 'static {
    /// What the node's function is given for them.
    type Given;

    /// The nodes, in order.
    fn edges(&self) -> Vec<Dependency>;

    /// Takes their results.
    ///
    /// # Errors
    /// A result that is not there, or that is not of its type.
    fn given(&self, call: &mut Call<'_>) -> Result<Self::Given, Failure>;
}

/// A node that may have been skipped; for a node that [runs all the same](super::NodeOptions::even_if_skipped).
#[derive(Debug)]
pub struct Optional<T>(pub Node<T>);

impl<T: Send + Sync + 'static> Reads for Node<T> {
    type Given = Arg<T>;

    fn edges(&self) -> Vec<Dependency> {
        vec![(*self).into()]
    }

    fn given(&self, call: &mut Call<'_>) -> Result<Arg<T>, Failure> {
        call.arg()
    }
}

impl<T: Send + Sync + 'static> Reads for Optional<T> {
    type Given = Option<Arg<T>>;

    fn edges(&self) -> Vec<Dependency> {
        vec![self.0.into()]
    }

    fn given(&self, call: &mut Call<'_>) -> Result<Option<Arg<T>>, Failure> {
        call.optional_arg()
    }
}

impl<R: Reads> Reads for Vec<R> {
    type Given = Vec<R::Given>;

    fn edges(&self) -> Vec<Dependency> {
        self.iter().flat_map(R::edges).collect()
    }

    fn given(&self, call: &mut Call<'_>) -> Result<Vec<R::Given>, Failure> {
        self.iter().map(|each| each.given(call)).collect()
    }
}

impl Reads for () {
    type Given = ();

    fn edges(&self) -> Vec<Dependency> {
        Vec::new()
    }

    #[inline]
    fn given(&self, _: &mut Call<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($name:ident $place:tt),+) => {
        impl<$($name: Reads),+> Reads for ($($name,)+) {
            type Given = ($($name::Given,)+);

            fn edges(&self) -> Vec<Dependency> {
                let mut edges = Vec::new();
                $(edges.extend(self.$place.edges());)+
                edges
            }

            fn given(&self, call: &mut Call<'_>) -> Result<Self::Given, Failure> {
                Ok(($(self.$place.given(call)?,)+))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
