import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js'

/** A way to carry HTTP/2 to a BuildKit: all that a grpc-js client is made of. */
export interface Transport {
  readonly kind: 'upgrade' | 'plain' | 'tls'
  readonly target: string
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
}

export const channelOptions: ChannelOptions = {
  // The target of a unix socket is a path, which is no valid :authority.
  'grpc.default_authority': 'localhost',
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A solve must never be sent twice behind our back, nor through a proxy.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  // Without it two clients of one engine share a connection, and closing one does not close it.
  'grpc.use_local_subchannel_pool': 1,
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
}
