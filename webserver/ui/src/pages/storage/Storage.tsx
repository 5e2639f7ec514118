/** The hosts that folders are on, and how full they are. */
import { Badge, Group, SimpleGrid, Stack } from '@mantine/core'
import { IconDatabase } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listVolumes, type Volume } from '../../api/volumes'
import { formatBytes } from '../../format/numbers'
import { Ask } from '../../parts/Ask'
import { Empty } from '../../parts/Empty'
import { Facts } from '../../parts/Facts'
import { Meter } from '../../parts/Meter'
import { Page } from '../../parts/Page'
import { Section } from '../../parts/Section'

export default function Storage() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['volumes'], queryFn: listVolumes })
  return (
    <Page title={t('storage.title')} hint={t('storage.hint')}>
      <Ask query={query} height={300}>
        {(volumes) => volumes.length ? (
          <SimpleGrid cols={{ base: 1, md: 2 }}>{volumes.map((volume) => <Host key={volume.id} volume={volume} />)}</SimpleGrid>
        ) : <Empty icon={IconDatabase} title={t('storage.emptyTitle')} hint={t('storage.emptyHint')} />}
      </Ask>
    </Page>
  )
}

function Host({ volume }: { volume: Volume }) {
  const { t } = useTranslation()
  const { io_bytes_read: read, io_bytes_write: written } = volume.performance
  return (
    <Section title={volume.id}>
      <Stack>
        <Meter name={t('storage.used')} slot="mem" used={volume.used} limit={volume.capacity} />
        <Facts
          facts={[
            [t('storage.backend'), volume.backend], [t('storage.path'), volume.path],
            [t('storage.read'), read === undefined ? null : formatBytes(read)], [t('storage.written'), written === undefined ? null : formatBytes(written)],
            [t('storage.capabilities'), <Group key="capabilities" gap={4}>{volume.capabilities.map((word) => <Badge key={word} variant="default" tt="none" miw="max-content">{word}</Badge>)}</Group>],
          ]}
        />
      </Stack>
    </Section>
  )
}
