/** What was held over time, as curves. */
import { AreaChart } from '@mantine/charts'
import { Button, Card, SegmentedControl, SimpleGrid, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { IconChartBar } from '@tabler/icons-react'
import { fetchAllCurves, fetchOwnCurves, type CurvePoint } from '../../api/resources'
import { formatBytes, round } from '../../format/numbers'
import { Ask } from '../../parts/Ask'
import { Empty } from '../../parts/Empty'
import { Page } from '../../parts/Page'
import { useHere } from '../../shell/me'

const number = (value: number) => round(value, value < 0.1 ? 4 : 2)
const CURVES = [
  { name: 'num_sessions', title: 'usage.sessions', color: 'brand.6', show: number },
  { name: 'cpu_allocated', title: 'usage.cpu', color: 'teal.6', show: number },
  { name: 'mem_allocated', title: 'usage.memory', color: 'grape.6', show: formatBytes },
  { name: 'gpu_allocated', title: 'usage.gpu', color: 'orange.6', show: number },
  { name: 'io_read_bytes', title: 'usage.read', color: 'cyan.6', show: formatBytes },
  { name: 'io_write_bytes', title: 'usage.written', color: 'pink.6', show: formatBytes },
  { name: 'disk_used', title: 'usage.disk', color: 'yellow.6', show: formatBytes },
] as const

export default function Usage() {
  const { t, i18n } = useTranslation()
  const { me } = useHere()
  const [whose, setWhose] = useState('mine')
  const query = useQuery({ queryKey: ['curves', whose], queryFn: whose === 'all' ? fetchAllCurves : fetchOwnCurves, staleTime: 5 * 60_000 })
  const format = new Intl.DateTimeFormat(i18n.language, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
  return (
    <Page
      title={t('usage.title')} hint={t('usage.hint')}
      actions={me.role === 'superadmin' && (
        <SegmentedControl value={whose} onChange={setWhose} aria-label={t('sessions.owner')} data={[{ value: 'mine', label: t('usage.mine') }, { value: 'all', label: t('usage.all') }]} />
      )}
    >
      <Ask query={query} height={500}>
        {(points) => points.some((point) => point.num_sessions.value > 0) ? (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            {CURVES.filter(({ name }) => name !== 'gpu_allocated' || points.some((point) => valueOf(point, name) > 0)).map(({ name, title, color, show }) => (
              <Card key={name} component="section" aria-label={t(title)}>
                <Title order={2} size="h5" mb={4}>{t(title)}</Title>
                <Text size="sm" c="dimmed" mb="sm">{show(points.at(-1)![name].value)}</Text>
                <AreaChart
                  h={180} data={hourly(points, name).map(({ date, value }) => ({ at: format.format(date * 1000), value }))} dataKey="at" withDots={false} curveType="step"
                  series={[{ name: 'value', label: t(title), color }]} valueFormatter={show} xAxisProps={{ minTickGap: 60 }} yAxisProps={{ width: 70 }}
                />
              </Card>
            ))}
          </SimpleGrid>
        ) : <Empty icon={IconChartBar} title={t('usage.none')} hint={t('usage.noneHint')} action={<Button component={Link} to="/launch">{t('launch.title')}</Button>} />}
      </Ask>
    </Page>
  )
}

type Curve = (typeof CURVES)[number]['name']

function valueOf(point: CurvePoint, name: Curve): number {
  return point[name].value
}

const POINTS_PER_HOUR = 4

/** The means of hours: a month of quarters is more than a chart has pixels. */
function hourly(points: CurvePoint[], name: Curve): { date: number; value: number }[] {
  return Array.from({ length: Math.ceil(points.length / POINTS_PER_HOUR) }, (_, hour) => {
    const quarters = points.slice(hour * POINTS_PER_HOUR, (hour + 1) * POINTS_PER_HOUR)
    return { date: quarters[0]!.date, value: quarters.reduce((sum, point) => sum + valueOf(point, name), 0) / quarters.length }
  })
}
