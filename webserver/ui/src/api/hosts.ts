/** Storage hosts, and what may be done on them. */
export type HostPermissions = Record<string, string[]>

/** The hosts that were chosen: those that were allowed before keep what they allowed, new ones allow `all`. */
export function permissionsFor(hosts: readonly string[], before: HostPermissions, all: string[]): HostPermissions {
  return Object.fromEntries(hosts.map((host) => [host, before[host] ?? all]))
}
