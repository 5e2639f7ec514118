/** How busy a session is: what was measured while it is looked at. */
import { AreaChart } from '@mantine/charts'
import { Card, Group, SimpleGrid, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { LiveStat, Session } from '../../api/sessions'
import { formatBytes, round } from '../../format/numbers'

const POINTS_MAX = 120
const SAMPLE_MILLISECONDS = 5_000
const SHOWN = ['cpu_util', 'mem', 'cuda_util', 'cuda_mem'] as const
type Shown = (typeof SHOWN)[number]

interface Point {
  at: string
  stat: Record<string, number>
}

export function Charts({ session }: { session: Session }) {
  const { t } = useTranslation()
  const stat = sumOf(session.kernels.map(({ live }) => live))
  const [points, setPoints] = useState<Point[]>([])
  const latest = useRef(stat)
  latest.current = stat
  useEffect(() => {
    const sample = () => {
      const values = Object.fromEntries(Object.entries(latest.current).map(([name, metric]) => [name, metric.current]))
      setPoints((now) => [...now, { at: new Date().toLocaleTimeString(), stat: values }].slice(-POINTS_MAX))
    }
    sample()
    const timer = setInterval(sample, SAMPLE_MILLISECONDS)
    return () => clearInterval(timer)
  }, [])
  const measured = SHOWN.filter((name) => stat[name])
  if (!measured.length) return <Text size="sm" c="dimmed">{t('sessions.noStats')}</Text>
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }}>
      {measured.map((name) => <Chart key={name} name={name} metric={stat[name]!} points={points} />)}
    </SimpleGrid>
  )
}

interface Sum {
  current: number
  capacity: number
  isBytes: boolean
}

const COLORS: Record<Shown, string> = { cpu_util: 'brand.6', mem: 'teal.6', cuda_util: 'orange.6', cuda_mem: 'grape.6' }
const NAMES = { cpu_util: 'sessions.cpu', mem: 'sessions.memory', cuda_util: 'sessions.gpu', cuda_mem: 'sessions.gpu' } as const

function Chart({ name, metric, points }: { name: Shown; metric: Sum; points: Point[] }) {
  const { t } = useTranslation()
  const show = (value: number) => (metric.isBytes ? formatBytes(value) : `${round(value)}%`)
  return (
    <Card padding="sm">
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>{t(NAMES[name])}</Text>
        <Text size="sm" c="dimmed">{show(metric.current)}{metric.capacity > 0 && ` / ${show(metric.capacity)}`}</Text>
      </Group>
      <AreaChart
        h={90} data={points.map(({ at, stat }) => ({ at, value: stat[name] ?? 0 }))} dataKey="at" series={[{ name: 'value', label: t(NAMES[name]), color: COLORS[name] }]}
        withXAxis={false} withYAxis={false} gridAxis="none" withDots={false} curveType="monotone" valueFormatter={show}
        yAxisProps={{ domain: [0, metric.capacity > 0 ? metric.capacity : 'auto'] }}
      />
    </Card>
  )
}

/** Over all kernels. */
function sumOf(stats: LiveStat[]): Record<string, Sum> {
  const sums: Record<string, Sum> = {}
  for (const [name, metric] of stats.flatMap((stat) => Object.entries(stat).filter(([, value]) => typeof value === 'object' && value !== null))) {
    const sum = (sums[name] ??= { current: 0, capacity: 0, isBytes: metric.unit_hint === 'bytes' })
    sum.current += Number(metric.current) || 0
    sum.capacity += Number(metric.capacity) || 0
  }
  return sums
}
