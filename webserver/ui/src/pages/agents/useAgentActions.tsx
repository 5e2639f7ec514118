/** What superadmins do with nodes. */
import { useTranslation } from 'react-i18next'
import { modifyAgent, type Agent } from '../../api/agents'
import { confirm } from '../../parts/confirm'
import type { Deed } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'

const TOUCHED = [['agents']]

export function useAgentActions() {
  const { t } = useTranslation()
  const schedulable = useAct<{ agent: Agent; schedulable: boolean }>({ act: ({ agent, schedulable: is }) => modifyAgent(agent.id, { schedulable: is }), done: t('admin.saved'), touches: TOUCHED })
  const askDrain = (agent: Agent) =>
    confirm({
      title: t('agents.drainTitle', { name: agent.id }), message: t('agents.drainHint', { count: agent.containers }), confirm: t('agents.drain'),
      onConfirm: () => schedulable.mutateAsync({ agent, schedulable: false }).catch(() => undefined),
    })
  const deedsOf = (agent: Agent): Deed[] => [
    agent.schedulable ? { label: t('agents.drain'), onClick: () => askDrain(agent) } : { label: t('agents.open'), onClick: () => schedulable.mutate({ agent, schedulable: true }) },
  ]
  return { deedsOf, setSchedulable: schedulable.mutate }
}
