/** How much of what, and where: a preset, or amounts of one's own. */
import { Chip, Group, NumberInput, SegmentedControl, Select, SimpleGrid, Text, Tooltip } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import type { Image } from '../../api/images'
import type { Preset, ResourceGroup } from '../../api/resources'
import { amountOf, formatSlots, isBytes, slotName, slotUnit } from '../../format/slots'
import { Failure } from '../../parts/Failure'
import { BytesInput } from '../../parts/FieldForm'
import { CUSTOM, raisedTo, type StepProps } from './form'
import type { PlanQuery } from './usePlan'

const GIB = 2 ** 30

interface Props extends StepProps {
  image: Image | undefined
  groups: UseQueryResult<ResourceGroup[]>
  plan: PlanQuery
}

export function ResourceStep({ form, put, image, groups, plan }: Props) {
  const { t } = useTranslation()
  const free = plan.data?.scaling_groups[form.group]?.remaining ?? {}
  // Slots that nobody has here are not asked for.
  const slots = Object.keys(plan.data?.keypair_limits ?? form.slots).filter((slot) => slot === 'cpu' || slot === 'mem' || amountOf(free, slot) > 0 || Number(form.slots[slot] ?? 0) > 0)
  const pick = (preset: Preset) =>
    put({ preset: preset.name, slots: raisedTo(preset.resource_slots, image), shmem: preset.shared_memory ? Number(preset.shared_memory) : null })
  const putSlot = (slot: string, value: number) => {
    const { [slot]: _, ...others } = form.slots
    put({ preset: CUSTOM, slots: value > 0 ? { ...others, [slot]: String(value) } : others })
  }
  if (groups.isError) return <Failure error={groups.error} onRetry={() => void groups.refetch()} />
  const offered = groups.data ?? []
  return (
    <>
      {offered.length > 1 && (
        <Select label={t('launch.group')} required allowDeselect={false} value={form.group} data={offered.map(({ name }) => name)} onChange={(group) => group && put({ group })} />
      )}
      {plan.data && plan.data.presets.length > 0 && (
        <div>
          <Text size="sm" fw={500} mb={6}>{t('launch.preset')}</Text>
          <Group gap="xs">
            {plan.data.presets.map((preset) => (
              <Tooltip key={preset.name} label={[formatSlots(preset.resource_slots), preset.reason].filter(Boolean).join(' — ')} multiline maw={320}>
                <div>
                  <Chip checked={form.preset === preset.name} color={preset.allocatable ? 'brand' : 'orange'} onChange={() => pick(preset)}>
                    {preset.name}{!preset.allocatable && ` · ${t('launch.waits')}`}
                  </Chip>
                </div>
              </Tooltip>
            ))}
            <Chip checked={form.preset === CUSTOM} onChange={() => put({ preset: CUSTOM })}>{t('launch.custom')}</Chip>
          </Group>
        </div>
      )}
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        {slots.map((slot) => {
          const unit = isBytes(slot) ? GIB : 1
          const least = Number(raisedTo({}, image)[slot] ?? 0) / unit
          return (
            <NumberInput
              key={slot} label={slotName(slot)} suffix={` ${isBytes(slot) ? 'GiB' : slotUnit(slot, Number(form.slots[slot] ?? 0))}`} min={least} step={isBytes(slot) ? 0.5 : 1} decimalScale={3} required={slot === 'cpu' || slot === 'mem'}
              value={Number(form.slots[slot] ?? 0) / unit} onChange={(value) => putSlot(slot, Math.round(Number(value) * unit * 1000) / 1000)}
            />
          )
        })}
        <BytesInput key={form.preset} label={t('launch.shmem')} required={false} disabled={false} name="shmem" value={form.shmem} onChange={(shmem) => put({ shmem })} />
        <NumberInput label={t('launch.nodes')} min={1} max={256} value={form.clusterSize} onChange={(value) => put({ clusterSize: Number(value) || 1 })} />
      </SimpleGrid>
      {form.clusterSize > 1 && (
        <>
          <Text size="sm" c="dimmed">{t('launch.nodesHint')}</Text>
          <SegmentedControl
            aria-label={t('launch.mode')} value={form.clusterMode} onChange={(mode) => put({ clusterMode: mode as 'single-node' | 'multi-node' })}
            data={[{ value: 'single-node', label: t('launch.single') }, { value: 'multi-node', label: t('launch.multi') }]}
          />
        </>
      )}
    </>
  )
}
