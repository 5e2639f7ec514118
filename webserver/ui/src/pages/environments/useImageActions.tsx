/** What superadmins do with images, and owners with their own. */
import { Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { listAgentIds } from '../../api/agents'
import { aliasImage, canonicalName, dealiasImage, forgetImage, isCustom, isFetched, limitImage, type Image, type Limit } from '../../api/images'
import { confirm } from '../../parts/confirm'
import { openForm } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { toastError } from '../../parts/toast'
import { useAct } from '../../parts/useAct'
import { optionsOf, useChoices } from '../../parts/useChoices'
import { useHere } from '../../shell/me'
import { limitFields, limitsOf, limitValues } from './limits'
import { useTasks } from './useTasks'

const TOUCHED = [['images']]

export function useImageActions() {
  const { t } = useTranslation()
  const { me } = useHere()
  const navigate = useNavigate()
  const client = useQueryClient()
  const withChoices = useChoices()
  const { move } = useTasks()
  const forget = useAct<Image[]>({ act: (images) => Promise.all(images.map(({ id }) => forgetImage(id))), done: (images) => t('images.forgotten', { count: images.length }), touches: TOUCHED })
  const alias = useAct<{ image: Image; name: string }>({ act: ({ image, name }) => aliasImage(image, name), done: t('admin.saved'), touches: TOUCHED })
  const dealias = useAct<string>({ act: dealiasImage, done: t('admin.saved'), touches: TOUCHED })
  const limit = useAct<{ image: Image; limits: Limit[] }>({ act: ({ image, limits }) => limitImage(image, limits), done: t('admin.saved'), touches: TOUCHED })

  const askForget = (images: Image[], onDone?: () => void) =>
    confirm({
      title: t('images.forgetTitle', { count: images.length }),
      message: (
        <Stack gap="sm">
          <Text size="sm" fw={500}>{images.map(canonicalName).join(', ')}</Text>
          <Text size="sm">{t(images.some(isCustom) ? 'images.forgetCustom' : 'images.forgetHint')}</Text>
        </Stack>
      ),
      confirm: t('images.forget'),
      onConfirm: () => forget.mutateAsync(images).then(onDone, () => undefined),
    })
  const askAlias = (image: Image) =>
    openForm(t('images.addAlias'), {
      fields: [{ name: 'name', label: t('images.alias'), hint: t('images.aliasHint'), kind: 'text', isRequired: true }],
      initial: { name: '' }, submit: t('action.save'), onSubmit: ({ name }) => alias.mutateAsync({ image, name }),
    })
  const askDealias = (name: string) =>
    confirm({ title: t('images.dropAlias', { alias: name }), message: t('images.dropAliasHint'), confirm: t('action.delete'), onConfirm: () => dealias.mutateAsync(name).catch(() => undefined) })
  const askLimits = (image: Image) => withChoices(({ slots }) =>
    openForm(t('images.limitsTitle', { name: `${image.name}:${image.tag}` }), {
      fields: limitFields(slots, image.limits, { least: t('images.least'), most: t('images.most'), hint: t('admin.emptyIsNoLimit') }),
      initial: limitValues(image.limits), submit: t('action.save'), onSubmit: (values) => limit.mutateAsync({ image, limits: limitsOf(values) }),
    }))
  const askMove = (isBrought: boolean, images: Image[]) => {
    const known = client.fetchQuery({ queryKey: ['agents', 'names'], queryFn: listAgentIds })
    known.then((ids) => openForm(t(isBrought ? 'images.bringTitle' : 'images.takeTitle', { count: images.length }), {
      fields: [{ name: 'agents', label: t('images.agents'), hint: t(isBrought ? 'images.bringHint' : 'images.takeHint'), kind: 'multiple', isRequired: true, options: optionsOf(ids) }],
      initial: { agents: ids }, submit: t(isBrought ? 'images.bring' : 'images.take'),
      onSubmit: ({ agents }) => move({ isBrought, images, agents }),
    }), toastError)
  }
  const isKeeper = me.role === 'superadmin'
  const deedsOf = (image: Image): Deed[] => [
    { label: t('launch.submit'), onClick: () => void navigate(`/launch?${new URLSearchParams({ image: canonicalName(image) })}`) },
    ...(isKeeper ? [{ label: t('images.changeLimits'), onClick: () => askLimits(image) }] : []),
    ...(isKeeper && isFetched(image) ? [{ label: t('images.bring'), onClick: () => askMove(true, [image]) }, { label: t('images.take'), onClick: () => askMove(false, [image]) }] : []),
    ...(isKeeper || isCustom(image) ? [{ label: t('images.forget'), isDanger: true, onClick: () => askForget([image]) }] : []),
  ]
  return { deedsOf, askForget, askAlias, askDealias, askMove }
}
