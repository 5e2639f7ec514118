/** All about one image. */
import { ActionIcon, Button, Drawer, Group, Stack, Table, Text, Title } from '@mantine/core'
import { IconPlus, IconRocket, IconTrash } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { canonicalName, type Image } from '../../api/images'
import { formatBytes } from '../../format/numbers'
import { formatSlot, slotName } from '../../format/slots'
import { Copy } from '../../parts/Copy'
import { Facts } from '../../parts/Facts'
import { useHere } from '../../shell/me'
import { Installed } from './Installed'
import { useImageActions } from './useImageActions'

export function ImageDrawer({ image, onClose }: { image: Image | null; onClose: () => void }) {
  const { t } = useTranslation()
  return (
    <Drawer opened={image !== null} onClose={onClose} position="right" size={640} closeButtonProps={{ 'aria-label': t('action.close') }} title={image && <Title order={2} size="h4">{`${image.name}:${image.tag}`}</Title>}>
      {image && <Body image={image} />}
    </Drawer>
  )
}

function Body({ image }: { image: Image }) {
  const { t } = useTranslation()
  const { me } = useHere()
  const { deedsOf } = useImageActions()
  const [, ...others] = deedsOf(image)
  const isKeeper = me.role === 'superadmin'
  return (
    <Stack gap="lg">
      <Group gap="xs">
        <Button size="xs" component={Link} to={`/launch?${new URLSearchParams({ image: canonicalName(image) })}`} leftSection={<IconRocket size={14} />}>{t('launch.submit')}</Button>
        {others.map(({ label, onClick, isDanger }) => <Button key={label} size="xs" variant={isDanger ? 'light' : 'default'} color={isDanger ? 'red' : undefined} onClick={onClick}>{label}</Button>)}
      </Group>
      <Facts
        facts={[
          [t('admin.name'), <Copy key="name" value={canonicalName(image)} />], [t('images.state'), <Installed key="state" is={image.installed} />], [t('images.agents'), image.agents.join(', ')],
          [t('agents.architecture'), image.architecture], [t('images.size'), image.sizeBytes ? formatBytes(image.sizeBytes) : null], [t('images.accelerators'), image.accelerators.join(', ')],
          [t('images.digest'), image.digest && <Copy key="digest" value={image.digest} />],
        ]}
      />
      <Limits image={image} />
      <Aliases image={image} isKeeper={isKeeper} />
      <Labels image={image} />
    </Stack>
  )
}

function Limits({ image }: { image: Image }) {
  const { t } = useTranslation()
  const limits = Object.entries(image.limits)
  return (
    <section aria-label={t('images.limits')}>
      <Title order={3} size="h5" mb="xs">{t('images.limits')}</Title>
      {limits.length ? (
        <Table>
          <Table.Thead><Table.Tr><Table.Th>{t('agents.slot')}</Table.Th><Table.Th>{t('images.least')}</Table.Th><Table.Th>{t('images.most')}</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {limits.map(([slot, { min, max }]) => (
              <Table.Tr key={slot}><Table.Td>{slotName(slot)}</Table.Td><Table.Td>{formatSlot(slot, min)}</Table.Td><Table.Td>{max === null || max === 'Infinity' ? t('admin.noLimit') : formatSlot(slot, max)}</Table.Td></Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      ) : <Text size="sm" c="dimmed">{t('images.noLimits')}</Text>}
    </section>
  )
}

function Aliases({ image, isKeeper }: { image: Image; isKeeper: boolean }) {
  const { t } = useTranslation()
  const { askAlias, askDealias } = useImageActions()
  return (
    <section aria-label={t('images.aliases')}>
      <Group justify="space-between" mb="xs">
        <Title order={3} size="h5">{t('images.aliases')}</Title>
        {isKeeper && <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} />} onClick={() => askAlias(image)}>{t('images.addAlias')}</Button>}
      </Group>
      {image.aliases.length === 0 && <Text size="sm" c="dimmed">{t('images.noAliases')}</Text>}
      {image.aliases.map((alias) => (
        <Group key={alias} justify="space-between">
          <Text size="sm" className="mono">{alias}</Text>
          {isKeeper && <ActionIcon variant="subtle" color="red" aria-label={t('images.dropAlias', { alias })} onClick={() => askDealias(alias)}><IconTrash size={16} /></ActionIcon>}
        </Group>
      ))}
    </section>
  )
}

function Labels({ image }: { image: Image }) {
  const { t } = useTranslation()
  const labels = Object.entries(image.labels).sort()
  if (!labels.length) return null
  return (
    <section aria-label={t('images.labels')}>
      <Title order={3} size="h5" mb="xs">{t('images.labels')}</Title>
      <Stack gap={6}>
        {labels.map(([name, value]) => (
          <div key={name}>
            <Text size="xs" c="dimmed" className="mono">{name}</Text>
            <Text size="sm" style={{ overflowWrap: 'anywhere' }}>{value || '–'}</Text>
          </div>
        ))}
      </Stack>
    </section>
  )
}
