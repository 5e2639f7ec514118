/** Values of the whole cluster that take effect at once: what they mean, what they are, and their defaults. */
import { Badge, Button, Divider, Group, Stack, Switch, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Fragment } from 'react'
import { useTranslation } from 'react-i18next'
import { fetchPairs, measuredOf, SETTINGS, thresholdOf, valueOf, type Pairs, type Setting } from '../../api/settings'
import { Ask } from '../../parts/Ask'
import { Page } from '../../parts/Page'
import { Section } from '../../parts/Section'
import { useSettingActions } from './useSettingActions'
import { useSettingTexts } from './texts'
import { useSlots } from './useSlots'

const GROUPS = Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]

export default function Settings() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['settings'], queryFn: fetchPairs })
  const slots = useSlots()
  return (
    <Page title={t('settings.title')} hint={t('settings.hint')}>
      <Ask query={query} height={600}>
        {(pairs) => {
          const thresholds = measuredOf(slots).map(thresholdOf)
          const groups = GROUPS.map((group) => [group, [...SETTINGS[group], ...(group === 'idle' ? thresholds : [])] as Setting[]] as const)
          return (
            <>
              {groups.map(([group, settings]) => (
                <Section key={group} title={t(`settings.${group}`)} hint={t(`settings.${group}Hint`)}>
                  <Stack gap="md">
                    {settings.map((setting, index) => <Fragment key={setting.key}>{index > 0 && <Divider />}<Row setting={setting} pairs={pairs} /></Fragment>)}
                  </Stack>
                </Section>
              ))}
              <Others pairs={pairs} known={groups.flatMap(([, settings]) => settings)} />
            </>
          )
        }}
      </Ask>
    </Page>
  )
}

function Row({ setting, pairs }: { setting: Setting; pairs: Pairs }) {
  const { t } = useTranslation()
  const { ask, put, reset } = useSettingActions()
  const texts = useSettingTexts()
  const value = valueOf(pairs, setting)
  const holds = value ?? setting.byDefault
  const label = texts.labelOf(setting)
  return (
    <Group justify="space-between" align="flex-start" gap="md" role="group" aria-label={label}>
      <Stack gap={2} flex={1} miw={220}>
        <Group gap="xs"><Text size="sm" fw={600}>{label}</Text>{value !== null && <Badge size="sm" variant="light" tt="none" radius="sm">{t('settings.changed')}</Badge>}</Group>
        <Text size="sm" c="dimmed">{texts.hintOf(setting)}</Text>
        <Text size="xs" c="dimmed">{t('settings.byDefault', { value: texts.shown(setting, setting.byDefault) })}</Text>
      </Stack>
      <Group gap="xs">
        {setting.kind === 'flag' ? (
          <Switch checked={holds === 'true'} aria-label={label} onChange={(event) => put({ setting, value: String(event.currentTarget.checked) })} />
        ) : (
          <>
            <Text size="sm">{texts.shown(setting, holds)}</Text>
            <Button size="xs" variant="default" aria-label={t('settings.changeOf', { name: label })} onClick={() => ask(setting, holds)}>{t('action.modify')}</Button>
          </>
        )}
        {value !== null && <Button size="xs" variant="subtle" aria-label={t('settings.resetOf', { name: label })} onClick={() => reset(setting)}>{t('settings.reset')}</Button>}
      </Group>
    </Group>
  )
}

/** What else is set, as it is written: it is changed elsewhere, or by hand. */
function Others({ pairs, known }: { pairs: Pairs; known: Setting[] }) {
  const { t } = useTranslation()
  const others = Object.keys(pairs).filter((key) => !known.some((setting) => key === setting.key || key.startsWith(`${setting.key}/`))).sort()
  if (!others.length) return null
  return (
    <Section title={t('settings.others')} hint={t('settings.othersHint')}>
      <Table.ScrollContainer minWidth={320}>
        <Table>
          <Table.Thead><Table.Tr><Table.Th>{t('settings.key')}</Table.Th><Table.Th>{t('settings.value')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {others.map((key) => <Table.Tr key={key}><Table.Td className="mono">{key}</Table.Td><Table.Td>{pairs[key]}</Table.Td></Table.Tr>)}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Section>
  )
}
