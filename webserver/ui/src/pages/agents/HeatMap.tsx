/** One square for each node: the fuller, the stronger its colour; the number says the same. */
import { Card, Group, SegmentedControl, SimpleGrid, Text, Title, Tooltip, UnstyledButton } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Agent } from '../../api/agents'
import { percentOf } from '../../format/numbers'
import { amountOf, formatSlot, slotName, slotsIn } from '../../format/slots'

const SHADES: [number, string][] = [
  [90, 'red'],
  [70, 'orange'],
  [40, 'yellow'],
  [1, 'teal'],
]

export function HeatMap({ agents, onOpen }: { agents: Agent[]; onOpen: (id: string) => void }) {
  const { t } = useTranslation()
  const slots = slotsIn(...agents.map(({ capacity }) => capacity))
  const [chosen, choose] = useState('cpu')
  const slot = slots.includes(chosen) ? chosen : (slots[0] ?? 'cpu')
  return (
    <Card component="section" aria-label={t('agents.heat')}>
      <Group justify="space-between" mb="md">
        <Title order={2} size="h4">{t('agents.heat')}</Title>
        {slots.length > 1 && <SegmentedControl size="xs" value={slot} onChange={choose} aria-label={t('agents.slot')} data={slots.map((one) => ({ value: one, label: slotName(one) }))} />}
      </Group>
      <SimpleGrid cols={{ base: 3, xs: 5, md: 8, lg: 10 }} spacing="xs">
        {agents.map((agent) => <Cell key={agent.id} agent={agent} slot={slot} onOpen={onOpen} />)}
      </SimpleGrid>
    </Card>
  )
}

function Cell({ agent, slot, onOpen }: { agent: Agent; slot: string; onOpen: (id: string) => void }) {
  const { t } = useTranslation()
  const used = amountOf(agent.occupied, slot)
  const whole = amountOf(agent.capacity, slot)
  const isAlive = agent.status === 'ALIVE'
  const percent = Math.round(percentOf(used, whole) ?? 0)
  const color = isAlive ? (SHADES.find(([least]) => percent >= least)?.[1] ?? 'gray') : 'gray'
  const shown = isAlive ? `${percent}%` : '–'
  const told = isAlive ? `${formatSlot(slot, used)} / ${formatSlot(slot, whole)}` : agent.status
  return (
    <Tooltip label={`${agent.id}: ${told}${agent.schedulable ? '' : ` · ${t('agents.closed')}`}`}>
      <UnstyledButton
        onClick={() => onOpen(agent.id)} p="xs" ta="center" aria-label={`${shown} ${agent.id}: ${told}`} opacity={isAlive ? 1 : 0.6}
        bg={`var(--mantine-color-${color}-light)`} c={`var(--mantine-color-${color}-light-color)`} bdrs="md" bd={agent.schedulable ? undefined : '1px dashed currentColor'}
      >
        <Text fw={700}>{shown}</Text>
        <Text size="xs" truncate>{agent.id}</Text>
      </UnstyledButton>
    </Tooltip>
  )
}
