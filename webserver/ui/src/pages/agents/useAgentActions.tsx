/** What superadmins do with nodes. */
import { useTranslation } from 'react-i18next'
import { modifyAgent, type Agent } from '../../api/agents'
import { confirm } from '../../parts/confirm'
import { openForm } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'
import { optionsOf, useChoices } from '../../parts/useChoices'

const TOUCHED = [['agents']]

export function useAgentActions() {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const schedulable = useAct<{ agent: Agent; schedulable: boolean }>({ act: ({ agent, schedulable: is }) => modifyAgent(agent.id, { schedulable: is }), done: t('admin.saved'), touches: TOUCHED })
  const move = useAct<{ id: string; group: string }>({ act: ({ id, group }) => modifyAgent(id, { scaling_group: group }), done: t('admin.saved'), touches: TOUCHED })
  const askDrain = (agent: Agent) =>
    confirm({
      title: t('agents.drainTitle', { name: agent.id }), message: t('agents.drainHint', { count: agent.containers }), confirm: t('agents.drain'),
      onConfirm: () => schedulable.mutateAsync({ agent, schedulable: false }).catch(() => undefined),
    })
  const askMove = (agent: Agent) => withChoices(({ resourceGroups }) =>
    openForm(t('agents.moveTitle', { name: agent.id }), {
      fields: [{ name: 'group', label: t('sessions.resourceGroup'), kind: 'select', isRequired: true, options: optionsOf(resourceGroups) }],
      initial: { group: agent.resourceGroup },
      submit: t('agents.move'),
      onSubmit: ({ group }) => move.mutateAsync({ id: agent.id, group }),
    }))
  const deedsOf = (agent: Agent): Deed[] => [
    agent.schedulable ? { label: t('agents.drain'), onClick: () => askDrain(agent) } : { label: t('agents.open'), onClick: () => schedulable.mutate({ agent, schedulable: true }) },
    { label: t('agents.move'), onClick: () => askMove(agent) },
  ]
  return { deedsOf, setSchedulable: schedulable.mutate }
}
