/** The folders that a session sees. */
import { Alert, Anchor, MultiSelect } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { UseQueryResult } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Folder } from '../../api/folders'
import { Ask } from '../../parts/Ask'
import type { StepProps } from './form'

export function DataStep({ form, put, folders }: StepProps & { folders: UseQueryResult<Folder[]> }) {
  return <Ask query={folders}>{(found) => <Choice form={form} put={put} folders={found} />}</Ask>
}

function Choice({ form, put, folders }: StepProps & { folders: Folder[] }) {
  const { t } = useTranslation()
  // Those that begin with a dot are mounted in all sessions.
  const offered = folders.filter(({ status, name }) => status === 'ready' && !name.startsWith('.'))
  return (
    <>
      <MultiSelect
        label={t('launch.folders')} description={t('launch.foldersHint')} searchable clearable value={form.mounts.filter((id) => offered.some((folder) => folder.id === id))}
        data={offered.map(({ id, name, permission }) => ({ value: id, label: permission === 'ro' ? `${name} (ro)` : name }))} onChange={(mounts) => put({ mounts })}
      />
      {!form.mounts.length && (
        <Alert color="yellow" icon={<IconAlertTriangle />}>
          {t('launch.noFolder')}{' '}
          {!offered.length && <Anchor component={Link} to="/folders?new=1" size="sm" c="inherit" underline="always">{t('start.folder')}</Anchor>}
        </Alert>
      )}
    </>
  )
}
