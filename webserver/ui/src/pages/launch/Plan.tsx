/** What would happen if it were launched now, in the scheduler's own words. */
import { Alert, Card, Divider, Group, Stack, Text, Title } from '@mantine/core'
import { IconBan, IconCircleCheck, IconHourglass } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import type { Folder } from '../../api/folders'
import { shortName, type Image } from '../../api/images'
import type { Verdict as PlannersVerdict } from '../../api/resources'
import { amountOf, formatSlots, slotName, slotsIn } from '../../format/slots'
import { Facts, type Fact } from '../../parts/Facts'
import { Failure } from '../../parts/Failure'
import { Meter } from '../../parts/Meter'
import type { Form } from './form'
import type { PlanQuery } from './usePlan'

interface Props {
  form: Form
  image: Image | undefined
  plan: PlanQuery
  folders: Folder[]
}

export function Plan({ form, image, plan, folders }: Props) {
  const { t } = useTranslation()
  const mounted = folders.filter(({ id }) => form.mounts.includes(id)).map(({ name }) => name)
  const facts: Fact[] = [
    [t('launch.image'), image ? shortName(form.image) : null],
    [t('launch.resources'), `${formatSlots(form.slots)}${form.clusterSize > 1 ? ` × ${form.clusterSize}` : ''}`],
    [t('launch.group'), form.group],
    [t('launch.folders'), mounted.join(', ') || t('launch.nothing')],
  ]
  return (
    <Card component="section" aria-label={t('launch.plan')}>
      <Title order={2} size="h4" mb="md">{t('launch.plan')}</Title>
      <Stack gap="md">
        <Verdict plan={plan} />
        <Facts facts={facts} />
        <Divider />
        <Room form={form} plan={plan} />
      </Stack>
    </Card>
  )
}

function Verdict({ plan }: { plan: PlanQuery }) {
  const { t } = useTranslation()
  if (plan.isError) return <Failure error={plan.error} onRetry={() => void plan.refetch()} />
  if (!plan.data) return <Text size="sm" c="dimmed" role="status">{t('launch.asking')}</Text>
  const { color, icon, title } = looksOf(plan.data.wanted)
  return (
    <Alert color={color} icon={icon} title={t(title)} role="status" opacity={plan.isPlaceholderData ? 0.6 : 1}>{plan.data.wanted.reason}</Alert>
  )
}

function looksOf({ allocatable, possible }: PlannersVerdict) {
  if (allocatable) return { color: 'teal', icon: <IconCircleCheck />, title: 'launch.fits' } as const
  if (possible === false) return { color: 'red', icon: <IconBan />, title: 'launch.refused' } as const
  return { color: 'orange', icon: <IconHourglass />, title: 'launch.waits' } as const
}

/** The two limits, side by side: what the nodes have free, and what the policy leaves. */
function Room({ form, plan: { data } }: { form: Form; plan: PlanQuery }) {
  const { t } = useTranslation()
  if (!data) return null
  const free = data.scaling_groups[form.group]?.remaining ?? {}
  return (
    <Stack gap="md">
      {slotsIn(form.slots).map((slot) => {
        const asked = amountOf(form.slots, slot) * form.clusterSize
        return (
          <Stack key={slot} gap={6}>
            <Group justify="space-between"><Text size="sm" fw={600}>{slotName(slot)}</Text></Group>
            <Meter name={t('launch.pool', { group: form.group })} slot={slot} used={asked} limit={amountOf(free, slot)} />
            <Meter name={t('launch.mine')} slot={slot} used={asked} limit={amountOf(data.keypair_remaining, slot, Infinity)} color="teal" />
          </Stack>
        )
      })}
    </Stack>
  )
}
