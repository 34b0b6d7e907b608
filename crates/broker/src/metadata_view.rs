use ottla_metadata::MetadataImage;
use parking_lot::RwLock;
use std::sync::Arc;

/// The newest published metadata image. A reader takes a whole image and keeps it as long as it needs.
#[derive(Default)]
pub(crate) struct MetadataView {
    image: RwLock<Arc<MetadataImage>>,
}

impl MetadataView {
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.image.read().clone()
    }

    pub(crate) fn publish(&self, image: MetadataImage) {
        *self.image.write() = Arc::new(image);
    }
}
