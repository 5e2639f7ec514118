/** How busy a session is: what was measured while it is looked at. */
import { AreaChart } from '@mantine/charts'
import { Card, Group, SimpleGrid, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Session } from '../../api/sessions'
import { formatBytes, round } from '../../format/numbers'
import { kindOf, measuredIn, sumOf, type Sum } from './measures'

const POINTS_MAX = 120
const SAMPLE_MILLISECONDS = 5_000

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
  const measured = measuredIn(stat)
  if (!measured.length) return <Text size="sm" c="dimmed">{t('sessions.noStats')}</Text>
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }}>
      {measured.map((name) => <Chart key={name} name={name} metric={stat[name]!} points={points} />)}
    </SimpleGrid>
  )
}

const COLORS: Record<string, string> = { cpu_util: 'brand.6', mem: 'teal.6' }
const OF_ACCELERATORS = { util: 'orange.6', mem: 'grape.6' }

function useName(): (name: string) => string {
  const { t } = useTranslation()
  return (name) => {
    if (name === 'cpu_util') return t('sessions.cpu')
    if (name === 'mem') return t('sessions.memory')
    const kind = kindOf(name)
    return t(name.endsWith('_mem') ? 'sessions.acceleratorMemory' : 'sessions.accelerator', { name: kind === 'cuda' ? 'GPU' : kind })
  }
}

function Chart({ name, metric, points }: { name: string; metric: Sum; points: Point[] }) {
  const title = useName()(name)
  const color = COLORS[name] ?? OF_ACCELERATORS[name.endsWith('_mem') ? 'mem' : 'util']
  const show = (value: number) => (metric.isBytes ? formatBytes(value) : `${round(value)}%`)
  return (
    <Card padding="sm" component="section" aria-label={title}>
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>{title}</Text>
        <Text size="sm" c="dimmed">{show(metric.current)}{metric.capacity > 0 && ` / ${show(metric.capacity)}`}</Text>
      </Group>
      <AreaChart
        h={90} data={points.map(({ at, stat }) => ({ at, value: stat[name] ?? 0 }))} dataKey="at" series={[{ name: 'value', label: title, color }]}
        withXAxis={false} withYAxis={false} gridAxis="none" withDots={false} curveType="monotone" valueFormatter={show}
        yAxisProps={{ domain: [0, metric.capacity > 0 ? metric.capacity : 'auto'] }}
      />
    </Card>
  )
}
