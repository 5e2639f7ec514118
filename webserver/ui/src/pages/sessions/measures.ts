/** Which of the figures of a session are drawn: CPU, memory, and whatever accelerators tell of themselves. */
import type { LiveStat } from '../../api/sessions'

export interface Sum {
  current: number
  capacity: number
  isBytes: boolean
}

const OF_ALL = ['cpu_util', 'mem']
const OF_ACCELERATORS = /^(?!cpu_)(.+)_(util|mem)$/

/** Names in the order in which they are shown. */
export function measuredIn(stat: Record<string, Sum>): string[] {
  const others = Object.keys(stat).filter((name) => OF_ACCELERATORS.test(name)).sort((a, b) => kindOf(a).localeCompare(kindOf(b)) || b.localeCompare(a))
  return [...OF_ALL.filter((name) => stat[name]), ...others]
}

/** "cuda_util" → "cuda"; none for CPU and memory. */
export function kindOf(name: string): string {
  return OF_ACCELERATORS.exec(name)?.[1] ?? ''
}

/** Over all kernels. */
export function sumOf(stats: LiveStat[]): Record<string, Sum> {
  const sums: Record<string, Sum> = {}
  for (const [name, metric] of stats.flatMap((stat) => Object.entries(stat).filter(([, value]) => typeof value === 'object' && value !== null))) {
    const sum = (sums[name] ??= { current: 0, capacity: 0, isBytes: metric.unit_hint === 'bytes' })
    sum.current += Number(metric.current) || 0
    sum.capacity += Number(metric.capacity) || 0
  }
  return sums
}
