//! Argon2 with memory that the system gets back after each hash.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{CustomizedPasswordHasher, Error, PasswordHasher, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::{LANES, MEMORY_KIB, PASSES};

/// The address space that a hash reserves at least; it uses only what argon2 needs. The allocator of
/// glibc maps each block of more than 32 MiB separately and unmaps it when it is freed. It keeps smaller
/// blocks in the arenas of the threads that asked for them: hundreds of megabytes after many parallel
/// logins.
const RESERVED_BYTES: usize = 33 << 20;

/// Computes hashes as [`Argon2`] does, new ones as argon2id with our parameters.
pub(super) struct Hasher;

impl PasswordHasher<PasswordHash> for Hasher {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> Result<PasswordHash> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        self.hash_password_with_params(password, salt, params)
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let mut output = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = output.get_mut(..length).ok_or(Error::OutputSize)?;
        let argon2 = Argon2::new(algorithm, version, params.clone());
        let memory = memory(params.block_count())?;
        argon2.hash_password_into_with_memory(password, salt, output, memory)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

fn memory(blocks: usize) -> Result<Vec<Block>> {
    let mut memory = Vec::new();
    let reserved = blocks.max(RESERVED_BYTES / Block::SIZE);
    memory.try_reserve_exact(reserved).map_err(|_| argon2::Error::OutOfMemory)?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}
