//! Requests to a cluster.
//!
//! While a slot moves, a node may refuse only some of the commands of a pipeline, and the client crate
//! does not tell which. So several commands are a transaction: if one of them is refused, none is
//! carried out, and all can be sent again.

use redis::aio::ConnectionLike as _;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::SingleNodeRoutingInfo;
use redis::{Pipeline, RedisError, Value};

use crate::request::Request;

/// Sends a request to the primary of its keys.
pub(crate) async fn send(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
) -> Result<Value, RedisError> {
    if let Request::One(command) = request {
        return connection.req_packed_command(command).await;
    }
    let pipeline = transaction(Pipeline::new(), request);
    let count = pipeline.len();
    let replies = connection.req_packed_commands(&pipeline, 0, count).await?;
    Ok(reply(request, replies))
}

/// Sends a request to a node that is getting the slot of its keys, and would refuse it otherwise.
pub(crate) async fn ask(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
    (host, port): (&str, u16),
) -> Result<Value, RedisError> {
    let mut pipeline = Pipeline::new();
    // It is valid for one command, or for one transaction.
    pipeline.cmd("ASKING");
    match request {
        Request::One(command) => drop(pipeline.add_command((*command).clone())),
        _ => pipeline = transaction(pipeline, request),
    }
    let (count, host) = (pipeline.len(), host.to_owned());
    let node = SingleNodeRoutingInfo::ByAddress { host, port };
    let mut replies = connection.route_pipeline(pipeline, 0, count, node).await?;
    match request {
        Request::One(_) => Ok(replies.pop().unwrap_or(Value::Nil)),
        _ => Ok(reply(request, replies.split_off(1))),
    }
}

fn transaction(mut pipeline: Pipeline, request: &Request<'_>) -> Pipeline {
    pipeline.cmd("MULTI");
    for command in request.commands() {
        pipeline.add_command(command);
    }
    pipeline.cmd("EXEC");
    // In a transaction, this command would not wait.
    if let Some(wait) = request.wait() {
        pipeline.add_command(wait.clone());
    }
    pipeline
}

/// Returns the replies to the commands of a transaction, or those with the error that prevented it.
fn reply(request: &Request<'_>, mut replies: Vec<Value>) -> Value {
    if replies.iter().any(|reply| matches!(reply, Value::ServerError(_))) {
        return Value::Array(replies);
    }
    let waited = request.wait().and_then(|_| replies.pop());
    match replies.pop() {
        Some(Value::Array(mut carried_out)) => {
            carried_out.extend(waited);
            Value::Array(carried_out)
        }
        other => other.unwrap_or(Value::Nil),
    }
}
