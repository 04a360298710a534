import { Health, HealthCheckResponse_ServingStatus } from '../gen/health_pb.ts'
import type { Attachable } from './attachable.ts'

/** Answers the engine's health check. An engine 20.10 drops a session that does not, after one second. */
export const health: Attachable = {
  register: (services) =>
    services.unary(Health.method.check, () => ({ status: HealthCheckResponse_ServingStatus.SERVING })),
}
